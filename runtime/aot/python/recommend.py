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

    # { tables
    def find(
        self,
        histories: Any,
        k: int = 10,
        *,
        items: "Items",
        rule: int = Seen.EXCLUDE,
        banned: Any = None,
        allowed: Any = None,
    ) -> Best:
        """{doc find}

        `histories` are lists of items, or Ragged. `banned` and `allowed` have a list of rows for each history, or None;
        where `allowed` has None for a history, that one may find all. Rows are i64.
        """
        held = self._open()
        table = items._open()
        if items._library is not held.library:
            raise ValueError("items: were opened by another library than the model")
        k = _whole("k", k, 1, min(held.library.items_count(table.address), 2**31 - 1))
        rule = Seen(_whole("rule", rule, min(Seen), max(Seen)))
        lists, n, keep = _lists("histories", histories)
        filters, keep_filters = _filters(n, banned, allowed)
        rows, scores = _Taken("i64", (n, k)), _Taken("f32", (n, k))
        if n:
            held.call("find", table.address, n, ctypes.byref(lists), rule, filters, k, rows.address, scores.address)
        return Best(rows.value(), scores.value())

    # } tables


# { tables
class Items(_Closes):
    """A table of items, as `moire items` makes it, for Model.find: mapped, and not changed by a file that takes its place
    until `refresh`. Any number of threads may use one at once. Close it, or use it in `with`, to give it back early."""

    _closed = "the items are closed"

    def __init__(self, path: str, *, library: Optional[str] = None) -> None:
        """`library` as of Model."""
        self._library = _load(os.fspath(library) if library is not None else None)
        self._again = (library, os.path.abspath(os.fspath(path)))
        self._held: Optional[_Owned] = self._read()

    def _read(self) -> _Owned:
        address = ctypes.c_void_p()
        try:
            self._library.check(self._library.items_open(os.fsencode(self._again[1]), ctypes.addressof(address)))
        except Error as cause:
            raise Error(cause.status, "%s: %s" % (self._again[1], cause)) from None
        return _Owned(address.value, self._library.items_close)

    def refresh(self) -> None:
        """Takes the file that lies at the path now. Calls that are under way go on with the one before; if the new one is
        no good, so do later ones."""
        self._open()
        self._held = self._read()

    def check(self) -> None:
        """{doc items_check}"""
        table = self._open()
        self._library.check(self._library.items_check(table.address))

    def __len__(self) -> int:
        """{doc items_count}"""
        table = self._open()
        return self._library.items_count(table.address)

    @property
    def live(self) -> int:
        """{doc items_live}"""
        table = self._open()
        return self._library.items_live(table.address)

    def names(self, rows: Any) -> Any:
        """What the table calls a row, or rows in lists of lists; None for the -1 behind the end of a list, and where rows
        have no names."""
        table = self._open()
        count = self._library.items_count(table.address)
        name, n = ctypes.c_void_p(), ctypes.c_size_t()

        def find(row: Any) -> Any:
            if _is_list(row):
                return [find(one) for one in row]
            row = _whole("a row", row, -1, count - 1)
            self._library.check(
                self._library.items_name(table.address, row, ctypes.addressof(name), ctypes.addressof(n))
            )
            return ctypes.string_at(name.value, n.value).decode("utf-8", "surrogateescape") if name.value else None

        return find(rows)

    def __reduce__(self) -> Any:
        self._open()
        return _again, (type(self), self._again)


def _row_lists(what: str, n: int, lists: Any) -> List[Optional[_Given]]:
    """The rows of each of n histories; None where there is no list."""
    if lists is None:
        return [None] * n
    if isinstance(lists, Ragged):
        values = _numbers(_given(what + ": values", lists.values, "i64", (None,)))
        offsets = _numbers(_offsets(what, lists, len(values)))
        lists = [values[begin:end] for begin, end in zip(offsets, offsets[1:])]
    if not _is_list(lists) or len(lists) != n:
        raise ValueError("%s: wanted a list of rows, or None, for each of %d histories" % (what, n))
    return [one if one is None else _given("%s: list %d" % (what, i), one, "i64", (None,)) for i, one in enumerate(lists)]


def _filters(n: int, banned: Any, allowed: Any) -> Tuple[Any, Any]:
    """The structs of filters for n histories, None if there are none, and what owns them."""
    if banned is None and allowed is None:
        return None, None
    structs = (_Filter * max(1, n))()
    keep = _row_lists("banned", n, banned), _row_lists("allowed", n, allowed)
    nothing = ctypes.c_int64()
    for struct, without, only in zip(structs, *keep):
        if without is not None:
            struct.banned, struct.n_banned = without.address, without.shape[0]
        if only is not None:  # an empty list has a place, too: nothing is allowed
            struct.allowed, struct.n_allowed = only.address or ctypes.addressof(nothing), only.shape[0]
    return structs, (keep, nothing)


# } tables
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
