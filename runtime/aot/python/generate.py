# ---- Writing ----------------------------------------------------------------------------------------------


def _sampling(temperature: float, top_k: int, top_p: float, repetition_penalty: float, seed: int) -> Any:
    return _Sampling(
        float(temperature),
        _whole("top_k", top_k, 0, 2**63 - 1),
        float(top_p),
        float(repetition_penalty),
        _whole("seed", seed, 0, 2**64 - 1),
    )


class Rows(_Exclusive):
    """Rows of words that are continued, and what the model keeps of them. Threads that call it wait for each other. What
    follows a row does not depend on the others."""

    def __init__(self, model: "Model", rows: int = 1, positions: Optional[int] = None) -> None:
        """Rows without words. Each has room for `positions` words that are read, 1 to POSITIONS, and one that follows;
        None: POSITIONS, at most 2048."""
        held = model._open()
        rows = _whole("rows", rows, 1, MAX_BATCH)
        positions = min(POSITIONS, 2048) if positions is None else _whole("positions", positions, 1, POSITIONS)
        address = ctypes.c_void_p()
        held.library.check(held.library.start(held.address, None, 0, rows, positions, ctypes.addressof(address)))
        super().__init__(held, _Owned(address.value, held.library.end))
        self.rows, self.positions = rows, positions

    def append(self, words: Any) -> None:
        """Appends to each row its list of `words`, of any lengths; Ragged is fine, too. They are read when what follows
        is asked for."""
        lists = _words("words", words)
        if len(lists) != self.rows:
            raise ValueError("words: wanted a list for each of %d rows, but %d came" % (self.rows, len(lists)))
        most = max(map(len, lists))
        if most > self.positions + 1:
            raise ValueError("words: a row has room for %d words, but %d came" % (self.positions, most))
        counts = array.array("i", map(len, lists))
        block = array.array("i")
        for one in lists:
            block.extend(one)
            block.extend(itertools.repeat(0, most - len(one)))
        with self._alone() as held:
            held.library.check(
                held.library.append(
                    self._owned.address, block.buffer_info()[0] if block else None, counts.buffer_info()[0], most
                )
            )

    def next(
        self,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int = 42,
    ) -> Array:
        """The word that follows each row, which is appended to it: i32[rows]. Rows must not be empty. Of a row that has
        ended, by EOS or since no further word can be read, it is -1; appending to it takes the end back.

        {doc sampling}
        A temperature of 0 takes the best word.
        """
        sampling = _sampling(temperature, top_k, top_p, repetition_penalty, seed)
        taken = _Taken("i32", (self.rows,))
        with self._alone() as held:
            held.call_with("next", self._owned.address, ctypes.byref(sampling), taken.address)
        return taken.value()

    def logits(self) -> Array:
        """How well each word follows each row, none of which may be empty: f32[rows, WORDS]."""
        taken = _Taken("f32", (self.rows, WORDS))
        with self._alone() as held:
            held.call_with("logits", self._owned.address, taken.address)
        return taken.value()

    def rewind(self, row: int, length: int) -> None:
        """{doc rewind}"""
        row, length = _whole("row", row, 0, self.rows - 1), _whole("length", length, 0, self.positions + 1)
        with self._alone() as held:
            held.library.check(held.library.rewind(self._owned.address, row, length))

    def length(self, row: int) -> int:
        """Words of a row."""
        row = _whole("row", row, 0, self.rows - 1)
        with self._alone() as held:
            return held.library.length(self._owned.address, row)

    def __reduce__(self) -> Any:
        raise TypeError("rows are the memory of one process: pickle the model, and start rows of it there")


def _words(what: str, lists: Any) -> List[List[int]]:
    """Lists of words, as whole numbers of 32 bits."""
    if isinstance(lists, Ragged):
        values = _given(what + ": values", lists.values, "i32", (None,))
        offsets = _numbers(_offsets(what, lists, values.shape[0]))
        numbers = _numbers(values)
        return [numbers[begin:end] for begin, end in zip(offsets, offsets[1:])]
    made: List[List[int]] = []

    def extend(one: Any) -> int:
        made.append([_whole("a word", word, -(2**31), 2**31 - 1) for word in one])
        return len(made[-1])

    _joined(what, lists, extend)
    return made


class Model(_Model):
    __doc__ = _Model.__doc__

    def start(self, rows: int = 1, positions: Optional[int] = None) -> Rows:
        """Rows without words: see Rows."""
        return Rows(self, rows, positions)

    def generate(
        self,
        prompts: Any,
        most: int = 128,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int = 42,
    ) -> List[List[int]]:
        """The words that follow each prompt, at most `most` of each. Prompts are lists of words, or Ragged.

        {doc sampling}
        A temperature of 0 takes the best word.
        """
        self._open()
        lists = _words("prompts", prompts)
        most = _whole("most", most, 0, 2**31 - 1)
        made: List[List[int]] = [[] for _ in lists]
        if not lists or not most:
            return made
        longest = max(map(len, lists))
        with Rows(self, len(lists), max(1, min(POSITIONS, longest + most))) as rows:
            rows.append(lists)
            for _ in range(most):
                words = rows.next(
                    temperature=temperature, top_k=top_k, top_p=top_p, repetition_penalty=repetition_penalty, seed=seed
                )
                for row, word in zip(made, words):
                    if word >= 0:
                        row.append(int(word))
                if max(words) < 0:
                    break
        return made

    # { tokenizer
    def encode_text(self, text: Union[str, bytes], begins: bool = True) -> List[int]:
        """The words of a text, behind BOS if it `begins` and there is one."""
        held = self._open()
        data = text.encode("utf-8", "replace") if isinstance(text, str) else bytes(text)
        most = held.library.most_words(len(data))
        words, count = (ctypes.c_int32 * most)(), ctypes.c_size_t()
        with held.room() as room:
            held.library.check(
                held.library.encode_text(
                    room, data, len(data), bool(begins), ctypes.addressof(words), most, ctypes.byref(count)
                )
            )
        return words[: count.value]

    def decode_text(self, words: Sequence[int], behind: Sequence[int] = ()) -> str:
        """The text of words; `behind` are words that stand before them, whose text is left out."""
        return "".join(self._pieces(words, behind))

    def _pieces(self, words: Iterable[int], behind: Iterable[int] = ()) -> Iterator[str]:
        """What each word adds to the text; characters come out when they are whole."""
        library, decoding = self._open().library, _Decoding()
        room = ctypes.create_string_buffer(TEXT_BYTES)
        for word in behind:
            library.decode_word(ctypes.byref(decoding), _whole("a word", word, 0, WORDS - 1), room)
        for word in words:
            n = library.decode_word(ctypes.byref(decoding), _whole("a word", word, 0, WORDS - 1), room)
            yield room.raw[:n].decode("utf-8", "replace")
        yield room.raw[: library.decode_end(ctypes.byref(decoding), room)].decode("utf-8", "replace")

    def write(
        self,
        prompt: str,
        most: int = 128,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int = 42,
    ) -> Iterator[str]:
        """The text that follows a prompt, word by word, of at most `most` words: "".join(model.write(prompt)).

        {doc sampling}
        A temperature of 0 takes the best word.
        """
        words = self.encode_text(prompt)
        rows = Rows(self, 1, max(1, min(POSITIONS, len(words) + most)))
        rows.append([words])

        def follow() -> Iterator[int]:
            for _ in range(most):
                word = int(
                    rows.next(
                        temperature=temperature, top_k=top_k, top_p=top_p, repetition_penalty=repetition_penalty, seed=seed
                    )[0]
                )
                if word < 0 or word == EOS:
                    return
                yield word

        return self._pieces(follow(), words)

    # } tokenizer
