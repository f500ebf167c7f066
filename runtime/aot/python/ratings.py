# ---- Ranking ----------------------------------------------------------------------------------------------


class Ratings:
    """What users have rated, one user after the other: user i rated items[e], giving ratings[e] at times[e], for e from
    offsets[i] to below offsets[i + 1]. Give `offsets`, of which there is one more than there are users, or the numbers of
    their ratings as `lengths`."""

    def __init__(
        self, items: Array, ratings: Array, times: Array = None, offsets: Array = None, *, lengths: Array = None
    ) -> None:
        if (offsets is None) == (lengths is None):
            raise TypeError("Ratings: wanted offsets or lengths")
        self.items, self.ratings, self.times, self.offsets, self.lengths = items, ratings, times, offsets, lengths


def _rated(users: Any) -> Tuple[Any, int, Any]:
    """The struct for what users rated, how many they are, and what owns it."""
    if isinstance(users, Ratings):
        items = _given("users: items", users.items, "i32", (None,))
        ratings = _given("users: ratings", users.ratings, "i32", items.shape)
        times = None if users.times is None else _given("users: times", users.times, "f64", items.shape)
        offsets = _offsets("users", users, items.shape[0])
    else:
        columns = array.array("i"), array.array("i"), array.array("d")
        widths = set()

        def extend(one: Any) -> int:
            for entry in one:
                if not _is_list(entry) or len(entry) not in (2, 3):
                    raise ValueError("wanted (item, rating) or (item, rating, time), but %r came" % (entry,))
                widths.add(len(entry))
                for column, number in zip(columns, entry):
                    column.append(number)
            return len(one)

        offsets = _joined("users", users, extend)
        if len(widths) > 1:
            raise ValueError("users: wanted times of all ratings, or of none")
        items, ratings, times = (_Given(c.buffer_info()[0] if c else None, (len(c),), c) for c in columns)
    struct = _Ratings(offsets.address, items.address, ratings.address, times.address if times else None)
    return struct, offsets.shape[0] - 1, (offsets, items, ratings, times)


class Best(NamedTuple):
    """The best items of each user, best first, [n, k]: their numbers and their scores."""

    items: Array
    scores: Array


class Model(_Model):
    __doc__ = _Model.__doc__

    def scores(self, users: Any) -> Array:
        """{doc scores}

        Returns f32[n, ITEM_SIZE].
        `users` are lists of (item, rating) or (item, rating, time), or Ratings.
        {doc ratings}
        """
        held = self._open()
        rated, n, keep = _rated(users)
        taken = _Taken("f32", (n, ITEM_SIZE))
        if n:
            held.call("scores", n, ctypes.byref(rated), taken.address)
        return taken.value()

    def top(self, users: Any, k: int = min(10, ITEM_SIZE), *, rule: int = Seen.EXCLUDE) -> Best:
        """{doc top}

        `users` are lists of (item, rating) or (item, rating, time), or Ratings.
        {doc ratings}
        """
        held = self._open()
        k = _whole("k", k, 1, ITEM_SIZE)
        rule = Seen(_whole("rule", rule, min(Seen), max(Seen)))
        rated, n, keep = _rated(users)
        items, scores = _Taken("i32", (n, k)), _Taken("f32", (n, k))
        if n:
            held.call("top", n, ctypes.byref(rated), rule, k, items.address, scores.address)
        return Best(items.value(), scores.value())
