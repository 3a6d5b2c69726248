"""Rendezvous hashing: each key goes to the node with the highest score for it."""

from collections.abc import Callable
from typing import Any

from .murmur3 import murmur3_32


class RendezvousHash:
    """The nodes and their order for each key.

    A :class:`~evmemcached.pymemcache.HashClient` that is told this very class does the
    same natively.
    """

    def __init__(
        self,
        nodes: list[Any] | None = None,
        seed: int = 0,
        hash_function: Callable[[str, int], int] = murmur3_32,
    ) -> None:
        self.nodes: list[Any] = [] if nodes is None else nodes
        self.seed = seed
        self.hash_function: Callable[[str], int] = lambda text: hash_function(text, seed)

    def add_node(self, node: Any) -> None:
        if node not in self.nodes:
            self.nodes.append(node)

    def remove_node(self, node: Any) -> None:
        if node not in self.nodes:
            raise ValueError(f"No such node {node} to remove")
        self.nodes.remove(node)

    def get_node(self, key: Any) -> Any:
        """The node of *key*; None if there is no node."""
        best: tuple[int, Any] = (-1, None)
        for node in self.nodes:
            score = self.hash_function(f"{node}-{key}")
            if score > best[0]:
                best = (score, node)
            elif score == best[0]:
                best = (score, max(str(node), str(best[1])))
        return best[1]
