# ---- Recommending -----------------------------------------------------------------------------------------


class Best(NamedTuple):
    """The best items of each history, best first, [n, k]: their numbers and their scores."""

    items: Array
    scores: Array


class Model(_Model):
    __doc__ = _Model.__doc__

    def scores(self, histories: Any) -> Array:
        """{doc scores}

        Returns f32[n, ITEM_SIZE].
        `histories` are lists of items, or Ragged.
        {doc lists}
        """
        held = self._open()
        lists, n, keep = _lists("histories", histories)
        taken = _Taken("f32", (n, ITEM_SIZE))
        if n:
            held.call("scores", n, ctypes.byref(lists), taken.address)
        return taken.value()

    def top(self, histories: Any, k: int = min(10, ITEM_SIZE), *, seen: Any = None, rule: int = Seen.EXCLUDE) -> Best:
        """{doc top}

        `histories` are lists of items, or Ragged; so is `seen`: a list of seen items for each history, None for the
        histories themselves.
        {doc lists}
        """
        held = self._open()
        k = _whole("k", k, 1, ITEM_SIZE)
        rule = Seen(_whole("rule", rule, min(Seen), max(Seen)))
        lists, n, keep = _lists("histories", histories)
        others = None
        if seen is not None:
            others, count, keep_others = _lists("seen", seen)
            if count != n:
                raise ValueError("seen: wanted a list for each of %d histories, but %d came" % (n, count))
        items, scores = _Taken("i32", (n, k)), _Taken("f32", (n, k))
        if n:
            held.call("top", n, ctypes.byref(lists), others and ctypes.byref(others), rule, k, items.address, scores.address)
        return Best(items.value(), scores.value())


# { training
class State(_State):
    __doc__ = _State.__doc__

    def step(self, histories: Any, targets: Any, seed: int, step: int) -> float:
        """{doc step}

        Returns the loss.
        """
        loss = ctypes.c_float()
        lists, n, keep, wanted = self._batch(histories, targets)
        with self._alone() as held:
            held.call_with(
                "step", self._owned.address, n, ctypes.byref(lists), wanted.address, *_moment(seed, step), ctypes.byref(loss)
            )
        return loss.value

    def loss(self, histories: Any, targets: Any) -> float:
        """{doc loss}"""
        loss = ctypes.c_float()
        lists, n, keep, wanted = self._batch(histories, targets)
        with self._alone() as held:
            held.call_with("loss", self._owned.address, n, ctypes.byref(lists), wanted.address, ctypes.byref(loss))
        return loss.value

    def _batch(self, histories: Any, targets: Any) -> Tuple[Any, int, Any, _Given]:
        lists, n, keep = _lists("histories", histories)
        return lists, n, keep, _given("targets", targets, "i32", (n,))


# } training
