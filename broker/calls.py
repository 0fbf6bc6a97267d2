"""Services as nodes meet them: a client that calls, and the desk that serves calls to this node."""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from broker import codec
from broker.errors import (
    FrameError,
    MessageError,
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
    TopicError,
)
from broker.letters import Letter
from broker.messages import RegistryRequest
from broker.services import SERVICES, Service

_LOG = logging.getLogger("broker.calls")
Request = TypeVar("Request")
Response = TypeVar("Response")
Handler = Callable[[Any], Any]


class CallDesk:
    """Calls that this node waits for, and calls that wait for this node."""

    def __init__(
        self,
        node: str,
        incarnation: int,
        post: Callable[[Letter], None],
        pump: Callable[[float], bool],
    ) -> None:
        """Wire up with the node.

        Args:
            node: its name.
            incarnation: which life of it.
            post: sends a letter to the broker.
            pump: takes in what arrives within a time, s; False once the node has stopped.
        """
        self._node = node
        self._incarnation = incarnation
        self._post = post
        self._pump = pump
        self._ids = itertools.count(1)
        self._answers: dict[int, Letter | None] = {}  # calls under way; None until answered
        self.requests: deque[Letter] = deque()
        self._servers: dict[str, tuple[Service[Any, Any], Handler]] = {}

    def add_server(self, service: Service[Any, Any], handler: Handler) -> None:
        """Serve a service from now on.

        Raises:
            TopicError: if this node serves it already.
        """
        if service.name in self._servers:
            msg = f"service {service.name}: node {self._node} serves it already"
            raise TopicError(msg)
        self._servers[service.name] = (service, handler)

    def arrived(self, letter: Letter) -> None:
        """Sort a letter: an answer to a call under way, or a request to be served by `serve`."""
        if letter.operation == "serve":
            self.requests.append(letter)
        elif letter.operation == "answer" and letter.id in self._answers:
            self._answers[letter.id] = letter

    def serve(self) -> None:
        """Answer the requests that wait."""
        while self.requests:
            letter = self.requests.popleft()
            error, frames = None, []
            try:
                frames = self._served(letter)
            except Exception as problem:  # whatever a handler raises goes to the caller
                error = f"{type(problem).__name__}: {problem}"
                _LOG.warning("%s: service %s failed: %s", self._node, letter.body["service"], error)
            body = {"client": letter.body["client"], "error": error}
            self._post(Letter("answer", letter.id, body, frames))

    def rest(self, timeout_s: float) -> None:
        """Take in what arrives within a time, s."""
        self._pump(timeout_s)

    def call(self, service: Service[Request, Response], request: Request, timeout_s: float) -> Response:
        """Ask a service and wait; see `Client.call`."""
        if service.name in self._servers:
            return cast("Response", self._servers[service.name][1](request))
        if type(request) is not service.request_type:
            codec.refuse_type(service.name, type(request), service.request_type)
        identity = next(self._ids)
        frames = codec.encode(
            service.name, request, sender=self._node, incarnation=self._incarnation, seq=identity
        )
        self._answers[identity] = None
        try:
            self._post(Letter("call", identity, {"service": service.name}, frames))
            answer = self._awaited(identity, service.name, timeout_s)
        finally:
            del self._answers[identity]
        if answer.body["error"] is not None:
            kind = ServiceUnavailableError if answer.body.get("unavailable") else ServiceError
            raise kind(answer.body["error"])
        try:
            return cast("Response", codec.decode(answer.frames, service.response_type).message)
        except FrameError as error:
            msg = f"service {service.name}: its answer cannot be read: {error}"
            raise ServiceError(msg) from error

    def _awaited(self, identity: int, name: str, timeout_s: float) -> Letter:
        deadline = time.monotonic() + timeout_s
        while (answer := self._answers[identity]) is None:
            left = deadline - time.monotonic()
            if left <= 0 or not self._pump(left):
                why = f"no answer within {timeout_s:g} s" if left <= 0 else "the node was stopped"
                msg = f"service {name}: {why}; is its server busy, and is the broker up?"
                raise RequestTimeoutError(msg)
        return answer

    def _served(self, letter: Letter) -> list[bytes]:
        name = letter.body["service"]
        if name not in self._servers:
            msg = f"service {name}: node {self._node} does not serve it"
            raise MessageError(msg)
        service, handler = self._servers[name]
        response = handler(codec.decode(letter.frames, service.request_type).message)
        if type(response) is not service.response_type:
            codec.refuse_type(name, type(response), service.response_type)
        return codec.encode(name, response, sender=self._node, incarnation=self._incarnation, seq=letter.id)


class Client(Generic[Request, Response]):
    """Calls one service."""

    def __init__(self, service: Service[Request, Response], desk: CallDesk) -> None:
        """Remember whom to ask."""
        self.service = service
        self._desk = desk

    def call(self, request: Request, timeout_s: float = 5.0) -> Response:
        """Ask and wait for the answer; messages that arrive meanwhile are queued.

        Args:
            request: of the service's request type.
            timeout_s: how long to wait, s.

        Returns:
            The answer.

        Raises:
            MessageError: if the request is of another type.
            RequestTimeoutError: if no answer comes in time.
            ServiceUnavailableError: if no node serves it, or its server has died.
            ServiceError: if the handler raised.
        """
        return self._desk.call(self.service, request, timeout_s)

    def wait(self, timeout_s: float) -> None:
        """Return when some node serves the service.

        Raises:
            RequestTimeoutError: if none does within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            reply = self._desk.call(SERVICES, RegistryRequest(self.service.name), max(left, 0.05))
            if reply.records != "{}":
                return
            if left <= 0:
                msg = (
                    f"service {self.service.name}: no node serves it after {timeout_s:g} s; is its server up?"
                )
                raise RequestTimeoutError(msg)
            self._desk.rest(min(left, 0.05))
