"""The estimators as their papers define them: O(N^2), line by line, nothing shared with the package."""

from __future__ import annotations

import numpy as np
from scipy.special import digamma


def mixed_ksg(x, y, k, variant):
    n = len(x)
    dx, dy = np.abs(x[:, None] - x), np.abs(y[:, None] - y)
    distance = np.maximum(dx, dy)
    total = 0.0
    for i in range(n):
        eps = np.sort(distance[i])[k]
        if eps == 0:
            kk, n_x, n_y = (np.sum(d[i] == 0) for d in (distance, dx, dy))
        elif variant == "gao2017":
            kk, n_x, n_y = k, np.sum(dx[i] < eps), np.sum(dy[i] < eps)
        else:
            kk, n_x, n_y = k, np.sum(dx[i] <= eps), np.sum(dy[i] <= eps)
        total += digamma(kk) + np.log(n) - digamma(n_x) - digamma(n_y)
    return total / n


def discrete_continuous(labels, y, k):
    keep = np.array([np.sum(labels == label) > 1 for label in labels])
    labels, y = labels[keep], y[keep]
    n = len(y)
    if n == 0:
        return 0.0
    total = 0.0
    for i in range(n):
        own, every = np.abs(y[labels == labels[i]] - y[i]), np.abs(y - y[i])
        kk = min(k, len(own) - 1)
        eps = np.sort(own)[kk]
        if eps == 0:
            kk, around = np.sum(own == 0), np.sum(every == 0)
        else:
            around = np.sum(every < eps)
        total += digamma(kk) - digamma(len(own)) - digamma(around)
    return digamma(n) + total / n
