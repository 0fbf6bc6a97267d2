"""Services, parameters and membership, over every transport."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

from broker import services, topics
from broker.errors import (
    MessageError,
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
    TopicError,
)
from broker.messages import (
    Clock,
    ControlReply,
    ControlRequest,
    GridState,
    HistoryRequest,
    LogRecord,
    NodeStatus,
    ParametersRequest,
    RegistryRequest,
)


def control(request: ControlRequest) -> ControlReply:
    if request.command == "fail":
        msg = "no such link"
        raise ValueError(msg)
    return ControlReply(1, 2, paused=False, detail=request.command)


def history(request: HistoryRequest) -> GridState:
    rows = np.zeros((2000, 30), np.float32)
    flags = np.zeros(2000, np.bool_)
    return GridState(request.epoch, request.tick, rows, rows, rows, flags, flags, rows)


def test_a_service_answers_across_threads(make_node, serving):
    server, client = make_node("simulator"), make_node("client")
    server.server(services.CONTROL, control)
    server.server(services.HISTORY, history)
    server.ready()
    client.ready()
    serving(server)
    for number in range(50):
        reply = client.client(services.CONTROL).call(ControlRequest(f"step {number}"))
        assert reply == ControlReply(1, 2, paused=False, detail=f"step {number}")
    assert client.client(services.HISTORY).call(HistoryRequest(1, 77)).tick == 77


def test_what_a_handler_raises_reaches_the_caller_and_the_server_lives(make_node, serving):
    server, client = make_node("simulator"), make_node("client")
    server.server(services.CONTROL, control)
    server.ready()
    client.ready()
    serving(server)
    caller = client.client(services.CONTROL)
    with pytest.raises(ServiceError, match="ValueError: no such link"):
        caller.call(ControlRequest("fail"))
    assert caller.call(ControlRequest("pause")).detail == "pause"


def test_a_handler_that_returns_another_type_is_an_error(make_node, serving):
    server, client = make_node("simulator"), make_node("client")
    server.server(services.CONTROL, lambda request: request)
    server.ready()
    client.ready()
    serving(server)
    with pytest.raises(ServiceError, match="expected a ControlReply"):
        client.client(services.CONTROL).call(ControlRequest("pause"))


def test_an_unknown_service_is_an_error_at_once(make_node):
    client = make_node("client")
    client.ready()
    with pytest.raises(ServiceUnavailableError, match="/simulator/control: no node serves it"):
        client.client(services.CONTROL).call(ControlRequest("pause"), timeout_s=30.0)
    with pytest.raises(MessageError, match="expected a ControlRequest"):
        client.client(services.CONTROL).call(HistoryRequest(1, 1))


def test_a_busy_server_is_a_timeout(make_node):
    server, client = make_node("simulator"), make_node("client")
    server.server(services.CONTROL, control)
    server.ready()
    client.ready()
    with pytest.raises(RequestTimeoutError, match=r"no answer within 0\.1 s"):
        client.client(services.CONTROL).call(ControlRequest("pause"), timeout_s=0.1)


def test_a_server_that_leaves_during_a_call_is_an_error(make_node):
    server, client = make_node("simulator"), make_node("client")
    server.server(services.CONTROL, control)
    server.ready()
    client.ready()
    timer = threading.Timer(0.2, server.close)
    timer.start()
    with pytest.raises(ServiceUnavailableError, match="node simulator did not answer: it has left"):
        client.client(services.CONTROL).call(ControlRequest("pause"), timeout_s=30.0)
    timer.join()


def test_messages_that_come_during_a_call_are_kept(make_node, serving):
    server, client = make_node("simulator"), make_node("client")
    clock = server.publisher(topics.CLOCK, Clock)

    def tell_the_time(request: ControlRequest) -> ControlReply:
        clock.publish(Clock(0, 5, 0.0))
        return control(request)

    server.server(services.CONTROL, tell_the_time)
    subscription = client.subscription(topics.CLOCK, Clock)
    server.ready()
    client.ready()
    serving(server)
    caller = client.client(services.CONTROL)
    caller.call(ControlRequest("one"))
    caller.call(ControlRequest("two"))
    started = time.monotonic()
    came = 0
    while came < 2:
        came += client.spin(30.0) and sum(1 for _ in iter(subscription.take, None))
    assert time.monotonic() - started < 10.0, "spin does not wait when something came during a call"


def test_a_client_waits_for_its_server(make_node, serving):
    server, client = make_node("simulator"), make_node("client")
    client.ready()
    caller = client.client(services.CONTROL)
    with pytest.raises(RequestTimeoutError, match=r"no node serves it after 0\.1 s"):
        caller.wait(0.1)
    server.server(services.CONTROL, control)
    server.ready()
    serving(server)
    caller.wait(5.0)
    assert caller.call(ControlRequest("pause")).tick == 2


def test_a_node_can_call_its_own_service(make_node):
    node = make_node("simulator")
    node.server(services.CONTROL, control)
    node.ready()
    assert node.client(services.CONTROL).call(ControlRequest("pause")).detail == "pause"


def test_two_servers_of_one_service_are_refused(make_node):
    first, second = make_node("first"), make_node("second")
    first.server(services.CONTROL, control)
    first.ready()
    second.server(services.CONTROL, control)
    with pytest.raises(TopicError, match="node second cannot serve it, node first does already"):
        second.ready()


def test_parameters_are_listed_read_and_set_by_others(make_node, serving):
    owner, client = make_node("agent_0"), make_node("client")
    owner.parameters.declare("rate_hz", 2.0, "ticks per second")
    seen: list[float] = []

    def positive(value: float) -> None:
        if value <= 0:
            msg = "rate_hz must be above 0"
            raise ValueError(msg)
        seen.append(value)

    owner.parameters.on_change("rate_hz", positive)
    owner.ready()
    client.ready()
    serving(owner)
    caller = client.client(services.parameters_of("agent_0"))
    assert json.loads(caller.call(ParametersRequest("list")).values) == {"rate_hz": 2.0}
    assert json.loads(caller.call(ParametersRequest("describe")).values) == {"rate_hz": "ticks per second"}
    caller.call(ParametersRequest("set", "rate_hz", "5"))
    assert owner.parameters.get("rate_hz") == 5.0
    for value, complaint in (("-1", "above 0"), ('"fast"', "expected"), ("{", "not JSON")):
        with pytest.raises(ServiceError, match=complaint):
            caller.call(ParametersRequest("set", "rate_hz", value))
    with pytest.raises(ServiceError, match="no parameter 'speed'"):
        caller.call(ParametersRequest("get", "speed"))
    assert seen == [5.0]


def test_the_broker_says_who_is_on_the_bus(make_node):
    simulator, agent = make_node("simulator"), make_node("agent_0")
    simulator.publisher(topics.CLOCK, Clock, latched=True)
    simulator.server(services.CONTROL, control)
    agent.subscription(topics.CLOCK, Clock)
    simulator.ready()
    agent.ready()

    def ask(service: services.Service, name: str = "") -> dict:
        return json.loads(agent.client(service).call(RegistryRequest(name)).records)

    assert set(ask(services.NODES)) == {"simulator", "agent_0"}
    assert ask(services.NODES, "agent_0")["agent_0"]["subscribes"] == {"/clock": "Clock"}
    clock = ask(services.TOPICS, "/clock")["/clock"]
    assert (clock["type"], clock["latched"]) == ("Clock", True)
    assert (clock["publishers"], clock["subscribers"]) == (["simulator"], ["agent_0"])
    assert ask(services.SERVICES, "/simulator/control")["/simulator/control"] == {
        "server": "simulator",
        "request": "ControlRequest",
        "response": "ControlReply",
    }
    simulator.close()
    assert set(ask(services.NODES)) == {"agent_0"}


def test_a_name_in_use_is_refused_and_can_be_taken_over(make_node):
    first, second = make_node("twin"), make_node("twin")
    first.ready()
    with pytest.raises(TopicError, match="node name 'twin' is in use by process"):
        second.ready()
    second.ready(takeover=True)
    deadline = time.monotonic() + 10.0
    while first.ok() and time.monotonic() < deadline:
        first.spin(0.5)
    assert not first.ok(), "the lease thread finds the place taken and stops the node"
    assert second.ok()


def test_heartbeats_carry_state_and_counters_while_the_node_is_busy(make_node):
    busy, watcher = make_node("busy"), make_node("watcher")
    heartbeat = watcher.subscription(topics.status("busy"), NodeStatus)
    watcher.ready()
    busy.ready()
    busy.set_status("running", tick=12, note="learning")
    deadline = time.monotonic() + 10.0
    while (received := heartbeat.take()) is None and time.monotonic() < deadline:
        watcher.spin(0.5)
    assert received is not None
    assert (received.header.sender, received.message.state, received.message.tick) == ("busy", "running", 12)
    records = json.loads(watcher.client(services.NODES).call(RegistryRequest("busy")).records)
    assert records["busy"]["status"]["note"] == "learning"


def test_log_lines_reach_others(make_node):
    talker, listener = make_node("talker"), make_node("listener")
    lines = listener.subscription(topics.LOG, LogRecord)
    listener.ready()
    talker.ready()
    talker.log("warning", "voltage is low")
    while (received := lines.take()) is None:
        assert listener.spin(10.0)
    assert received.message == LogRecord("warning", "voltage is low")
    assert received.header.sender == "talker"
