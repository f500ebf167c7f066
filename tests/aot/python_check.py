"""What tests/aot/python.sh asks of the modules that `moire compile --python` writes: python_check.py WHAT ARGUMENT...

Results are compared with those of the command, number by number. Without NumPy it needs nothing but Python."""

import array
import concurrent.futures
import importlib
import json
import multiprocessing
import os
import pickle
import shutil
import struct
import sys

try:
    import numpy
except ImportError:
    numpy = None


def need(good, what):
    if not good:
        sys.exit("python_check: %s" % what)


def refused(kind, words, call, *arguments, **named):
    """The call raises exactly this kind of exception, whose text has the words."""
    try:
        call(*arguments, **named)
    except Exception as cause:
        need(isinstance(cause, kind) and all(word in str(cause) for word in words), "%r came, not %s" % (cause, words))
        return
    need(False, "nothing was raised where %s was wanted" % (words,))


def lists_of(x):
    return x.tolist() if hasattr(x, "tolist") else x


def as_array(rows, code):
    """Rows as what is not copied: a numpy array where there is one, else a buffer of two axes."""
    if numpy is not None:
        return numpy.array(rows, dtype={"f": "float32", "i": "int32", "d": "float64"}[code])
    flat = array.array(code, [number for row in rows for number in row])
    return memoryview(flat).cast("B").cast(code, [len(rows), len(rows[0])]) if rows else flat


def is_array(x):
    return numpy is not None and isinstance(x, numpy.ndarray)


def tensor(path, name):
    """A tensor of a safetensors file: its shape and its numbers."""
    with open(path, "rb") as file:
        data = file.read()
    n = struct.unpack("<Q", data[:8])[0]
    entry = json.loads(data[8 : 8 + n])[name]
    begin, end = entry["data_offsets"]
    code = {"F32": "f", "I32": "i", "I64": "q", "C64": "f"}[entry["dtype"]]
    numbers = list(array.array(code, data[8 + n + begin : 8 + n + end]))
    if entry["dtype"] == "C64":
        numbers = [complex(re, im) for re, im in zip(numbers[::2], numbers[1::2])]
    return entry["shape"], numbers


def nested(numbers, shape):
    for extent in reversed(shape[1:]):
        numbers = [numbers[i : i + extent] for i in range(0, len(numbers), extent)]
    return numbers


def in_processes(work, jobs, hows=("fork",), n=2):
    """What n processes make of the jobs, of each kind, and eight threads."""
    results = []
    for how in hows:
        with multiprocessing.get_context(how).Pool(n) as pool:
            results.append(pool.starmap(work, jobs))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results.append(list(pool.map(lambda job: work(*job), jobs)))
    return results


# ---- Recommenders -----------------------------------------------------------------------------------------


def ask_top(model, histories, k):
    best = model.top(histories, k)
    return lists_of(best.items), lists_of(best.scores)


def ended(items):
    """Lists that have run out of items end with -1."""
    return [row[: row.index(-1)] if -1 in row else row for row in items]


def lists_wanted(data, wanted):
    """The histories of DATA, a user a line, the items and scores of WANTED, a line of JSON for each, and their number."""
    with open(data) as file:
        histories = [[int(word) for word in line.split()[1:]] for line in file]
    with open(wanted) as file:
        lines = [json.loads(line) for line in file]
    items, scores = [line["items"] for line in lines], [line["scores"] for line in lines]
    return histories, items, scores, max(map(len, items))


def recommend(name, data, wanted):
    """DATA has a user a line, WANTED what `moire recommend --json` says about them."""
    library = importlib.import_module(name)
    histories, items, scores, k = lists_wanted(data, wanted)

    def agree(got, what, first=0, last=len(items)):
        got_items, got_scores = got
        need(ended(got_items) == items[first:last], "%s: other items" % what)
        short = [row[: len(want)] for row, want in zip(got_scores, scores[first:last])]
        need(short == scores[first:last], "%s: other scores" % what)

    model = library.Model()
    agree(ask_top(model, histories, k), "lists")
    flat = [item for history in histories for item in history]
    lengths = [len(history) for history in histories]
    offsets = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    agree(ask_top(model, library.Ragged(flat, lengths=lengths), k), "lengths")
    values = array.array("i", flat)
    agree(ask_top(model, library.Ragged(values, array.array("q", offsets)), k), "arrays")
    agree(ask_top(model, [array.array("q", history) for history in histories], k), "arrays of other widths")
    if numpy is not None:
        agree(ask_top(model, library.Ragged(numpy.array(flat), numpy.array(offsets)), k), "numpy")
        agree(ask_top(model, [numpy.array(history) for history in histories], k), "lists of numpy")
    again = pickle.loads(pickle.dumps(model))
    jobs = [(again, histories[i : i + 5], k) for i in range(0, len(histories), 5)]
    for results in in_processes(ask_top, jobs, ("fork", "spawn"), 8):
        for i, got in enumerate(results):
            agree(got, "processes", 5 * i, min(5 * i + 5, len(items)))

    best = model.top(histories[:2], 3, rule=library.Seen.RANK)
    need(best.items is best[0] and len(best.items) == 2, "the result's names")
    need(is_array(best.items) == (numpy is not None), "what kind of arrays comes back")
    all_scores = lists_of(model.scores(histories[:2]))
    need(len(all_scores[0]) == library.ITEM_SIZE, "scores of all items")
    need([all_scores[0][i] for i in lists_of(best.items)[0]] == lists_of(best.scores)[0], "scores of the best")
    seen = [[item] for item in lists_of(model.top(histories[:2], 1, rule=library.Seen.RANK).items)]
    other = model.top(histories[:2], 1, seen=[row[0] for row in seen], rule=library.Seen.EXCLUDE)
    need(lists_of(other.items)[0][0] != seen[0][0][0], "what was seen is not listed")
    need(len(lists_of(model.top([], 3).items)) == 0, "no histories")

    top, size = model.top, library.ITEM_SIZE
    refused(library.Error, ["an item is not from 1 to ITEM_SIZE - 1"], top, [[0]])
    refused(library.Error, ["an item is not"], top, [[size]])
    refused(ValueError, ["k: wanted 1 to %d" % (size,), "0 came"], top, histories, 0)
    refused(ValueError, ["k: wanted", "came"], top, histories, 10**30)
    refused(TypeError, ["k: wanted a whole number"], top, histories, 1.5)
    refused(TypeError, ["histories: wanted a list of lists"], top, [1, 2, 3])
    refused(TypeError, ["histories", "'abc'"], top, ["abc"])
    refused(TypeError, ["histories: list 1"], top, [[1], [1.5]])
    refused(OverflowError, ["histories: list 0"], top, [[2**40]])
    refused(ValueError, ["lengths add up to 3, but there are 2"], top, library.Ragged([1, 2], lengths=[1, 2]))
    refused(ValueError, ["a length is negative"], top, library.Ragged([1, 2], lengths=[3, -1]))
    refused(ValueError, ["offsets must not fall, nor leave the 2 values"], top, library.Ragged([1, 2], [0, 3]))
    refused(ValueError, ["offsets must not fall"], top, library.Ragged([1, 2], [0, 2, 1, 2]))
    refused(ValueError, ["offsets must not fall"], top, library.Ragged([1, 2], [-1, 2]))
    refused(ValueError, ["one offset more"], top, library.Ragged([], []))
    refused(TypeError, ["offsets or lengths"], library.Ragged, [1, 2])
    refused(TypeError, ["histories: values", "i32"], top, library.Ragged([1.5, 2.5], [0, 2]))
    refused(ValueError, ["histories: values", "not from"], top, library.Ragged(array.array("q", [2**40]), [0, 1]))
    refused(ValueError, ["seen: wanted a list for each of 1"], top, [[1]], 1, seen=[[1], [2]])
    refused(ValueError, ["rule: wanted 0 to 2"], top, [[1]], 1, rule=7)
    try:
        top([[size]])
    except library.Error as cause:
        back = pickle.loads(pickle.dumps(cause))
        need(back.status == library.Status.ERROR_ITEM and str(back) == str(cause), "an error is pickled")
    model.close()
    model.close()
    refused(ValueError, ["the model is closed"], top, [[1]])
    refused(ValueError, ["the model is closed"], pickle.dumps, model)
    with library.Model() as one:
        need(ask_top(one, histories[:1], k)[0] == ask_top(again, histories[:1], k)[0], "in `with`")
    refused(FileNotFoundError, ["nowhere.so"], library.Model, library="nowhere.so")
    need("code for" in library.version() and library.cpu(), "version and cpu")
    need("best scores for each history" in library.Model.top.__doc__, "a sentence of the header")


def external(name, weights):
    """Weights in a file, which processes map."""
    library = importlib.import_module(name)
    model, other = library.Model(), library.Model(weights)
    wanted = ask_top(model, [[1, 2]], 5)
    need(ask_top(other, [[1, 2]], 5) == wanted, "weights by their path")
    need(all(got == wanted for results in in_processes(ask_top, [(other, [[1, 2]], 5)] * 16) for got in results), "processes")
    refused(library.Error, ["nowhere.weights", "No such file"], library.Model, "nowhere.weights")
    with open(weights, "rb") as file:
        data = bytearray(file.read())
    data[-1] ^= 1
    with open("changed.weights", "wb") as file:
        file.write(data)
    refused(library.Error, ["changed"], library.Model, "changed.weights")


def absent(name):
    """The library is not there, is no library, or is another one."""
    library = importlib.import_module(name)
    path = os.path.join(os.path.dirname(os.path.dirname(library.__file__)), name + ".so")
    other = os.path.join(os.path.dirname(path), "other.so")
    hidden = path + ".hidden"
    os.rename(path, hidden)
    refused(FileNotFoundError, ["is not there", name + ".so"], library.Model)
    with open(path, "wb") as file:
        file.write(b"no library")
    refused(OSError, [name + ".so", "cannot be loaded"], library.Model)
    os.rename(hidden, path)
    refused(ImportError, ["other.so"], library.Model, library=other)
    need(library.Model() is not None, "it is there again")


def named(name, data, wanted):
    """DATA has lines "user item rating time", WANTED what `moire recommend --json` says; items have names."""
    library = importlib.import_module(name)
    users = {}
    with open(data) as file:
        for line in file:
            users.setdefault(line.split()[0], []).append(line.split()[1])
    with open(wanted) as file:
        lines = [json.loads(line) for line in file]
    histories = [users[str(line["user"])] for line in lines]
    best = library.Model().top(library.numbers(histories), 5)
    need(library.names(best.items) == [line["items"] for line in lines], "other names than `moire recommend`")
    need(library.names(library.numbers(histories)) == histories and library.names([-1]) == [None], "names and numbers")
    refused(KeyError, ["nothing", "is no item"], library.numbers, [["nothing"]])
    refused(ValueError, ["an item: wanted"], library.names, [10**6])


def ask_find(model, items, histories, k):
    best = model.find(histories, k, items=items)
    return lists_of(best.items), lists_of(best.scores)


def find(name, data, wanted, table, other):
    """WANTED is what `moire recommend --items TABLE --json` says about the users of DATA; OTHER takes TABLE's place."""
    library = importlib.import_module(name)
    histories, items, scores, k = lists_wanted(data, wanted)
    table, other = shutil.copy(table, "used.items"), shutil.copy(other, "next.items")
    model, shelf = library.Model(), library.Items(table)
    shelf.check()

    def agree(got, what, first=0, last=len(items)):
        need(ended(got[0]) == items[first:last], "%s: other rows" % what)
        short = [row[: len(want)] for row, want in zip(got[1], scores[first:last])]
        need(short == scores[first:last], "%s: other scores" % what)

    agree(ask_find(model, shelf, histories, k), "lists")
    again = pickle.loads(pickle.dumps((model, shelf)))
    jobs = [(*again, histories[i : i + 5], k) for i in range(0, len(histories), 5)]
    for results in in_processes(ask_find, jobs, ("fork", "spawn"), 8):
        for i, got in enumerate(results):
            agree(got, "processes", 5 * i, min(5 * i + 5, len(items)))
    need(is_array(model.find(histories[:2], 3, items=shelf).items) == (numpy is not None), "what kind of arrays comes back")

    ranked = lists_of(model.find(histories[:3], len(shelf), items=shelf, rule=library.Seen.RANK).items)
    ranked = ended(ranked)
    banned = [ranked[0][:4], None, as_array([ranked[2][:2]], "i")[0] if numpy is not None else ranked[2][:2]]
    best = lists_of(model.find(histories[:3], 5, items=shelf, rule=library.Seen.RANK, banned=banned).items)
    need(best == [ranked[0][4:9], ranked[1][:5], ranked[2][2:7]], "what is banned")
    allowed = [[7, 3, 3, 1000], None, []]
    best = lists_of(model.find(histories[:3], 2, items=shelf, rule=library.Seen.RANK, allowed=allowed).items)
    need(best == [[row for row in ranked[0] if row in (3, 7)], ranked[1][:2], [-1, -1]], "what is allowed")
    flat = library.Ragged(banned[0] + ranked[1][:1], lengths=[4, 1])
    best = lists_of(model.find(histories[:2], 3, items=shelf, rule=library.Seen.RANK, banned=flat).items)
    need(best == [ranked[0][4:7], ranked[1][1:4]], "what is banned, as Ragged")
    need(len(lists_of(model.find([], 3, items=shelf).items)) == 0, "no histories")

    before, live = len(shelf), shelf.live
    os.replace(other, table)
    need((len(shelf), shelf.live) == (before, live), "an open table changes")
    agree(ask_find(model, shelf, histories, k), "an open table")
    need(len(library.Items(table)) == before + 1, "the table that has taken its place")
    shelf.refresh()
    need((len(shelf), shelf.live) == (before + 1, live + 1), "a table that is read again")
    need(shelf.names([[before, 3], [-1]]) == [["more good", "3"], [None]], "names of rows")
    need([before] in lists_of(model.find(histories, 1, items=shelf).items), "a new row")

    refused(ValueError, ["k: wanted 1 to %d" % (before + 1)], model.find, histories, 0, items=shelf)
    refused(ValueError, ["rule: wanted 0 to 2"], model.find, histories, 3, items=shelf, rule=7)
    refused(library.Error, ["no such rule"], model.find, histories, 3, items=shelf, rule=library.Seen.ZERO)
    refused(ValueError, ["banned: wanted a list of rows, or None, for each of 2"], model.find, histories[:2], 3, items=shelf, banned=[[1]])
    refused((TypeError, ValueError), ["allowed: list 1"], model.find, histories[:2], 3, items=shelf, allowed=[None, ["x"]])
    refused(library.Error, ["an item is not from 1"], model.find, [[10**6]], 3, items=shelf)
    refused(library.Error, ["nowhere.items", "No such file"], library.Items, "nowhere.items")
    refused(library.Error, ["not of the kind"], library.Items, data)
    refused(ValueError, ["a row: wanted"], shelf.names, [before + 1])
    os.rename(table, other)
    refused(library.Error, ["No such file"], shelf.refresh)
    need(len(shelf) == before + 1, "a table that is not there any more")
    with shelf:
        pass
    refused(ValueError, ["the items are closed"], model.find, histories, 3, items=shelf)
    refused(ValueError, ["the items are closed"], shelf.refresh)
    need("scan of all rows" in library.Model.find.__doc__, "a sentence of the header")


# ---- Training ---------------------------------------------------------------------------------------------


def train(name, folder):
    """A step in this process and in another; a state goes out and comes back."""
    library = importlib.import_module(name)
    histories, targets = [[1, 2, 3], [4], [5, 6]], [4, 5, 7]
    state = library.State(7)
    first = state.loss(histories, targets)
    losses = [state.step(histories, targets, seed=7, step=i) for i in range(20)]
    need(losses == losses and state.loss(histories, targets) < first, "the loss does not fall: %s" % losses)
    again = library.State(7)
    need([again.step(histories, targets, seed=7, step=i) for i in range(20)] == losses, "a second run differs")
    copy = pickle.loads(pickle.dumps(state))
    need(copy.to_bytes() == state.to_bytes() == again.to_bytes(), "a state is pickled")
    state.write(os.path.join(folder, "state.safetensors"))
    copy.step(histories, targets, seed=1, step=0)
    need(copy.to_bytes() != state.to_bytes(), "a step changes nothing")
    copy.read(os.path.join(folder, "state.safetensors"), library.Part.EVERYTHING)
    need(copy.to_bytes() == state.to_bytes(), "a state is read back")
    tensors = state.tensors()
    one = next(t for t in tensors if t.trained and len(t.shape) == 2)
    data = lists_of(one.data)
    data[0][0] += 1
    state.set(one.name, data)
    got = next(t for t in state.tensors() if t.name == one.name)
    need(lists_of(got.data) == lists_of(as_array(data, "f")) and got.shape == one.shape, "a tensor is set")
    model = state.freeze()
    before = ask_top(model, [[1, 2]], 5)
    need(before != ask_top(copy.freeze(), [[1, 2]], 5) or True, "")
    refused(TypeError, ["pickle the state"], pickle.dumps, model)
    refused(KeyError, ["nothing"], state.set, "nothing", data)
    refused(ValueError, [one.name, "wanted f32"], state.set, one.name, [[1.0]])
    refused(ValueError, ["targets: wanted i32[3], but [2] came"], state.step, histories, [1, 2], 0, 0)
    refused(ValueError, ["step: wanted"], state.step, histories, targets, 0, -1)
    refused(library.Error, ["No such file"], state.read, "nowhere.safetensors")
    refused(library.Error, ["truncated"], state.from_bytes, b"nothing")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: state.step(histories, targets, 1, i), range(32)))
    state.close()
    refused(ValueError, ["is closed"], state.step, histories, targets, 0, 0)
    need(ask_top(model, [[1, 2]], 5) == before, "a frozen model changes")


# ---- Other interfaces -------------------------------------------------------------------------------------


def ask_run(model, inputs):
    return [lists_of(output) for output in model.run(**inputs)]


def run(name, data, wanted):
    """DATA and WANTED are safetensors: what `moire predict` read and wrote."""
    library = importlib.import_module(name)
    model = library.Model()
    shape, numbers = tensor(data, "received")
    received = nested(numbers, shape)
    measured = nested(tensor(data, "measured")[1], tensor(data, "measured")[0])
    wave, estimate = (nested(tensor(wanted, name)[1], tensor(wanted, name)[0]) for name in ("wave", "estimate"))
    inputs = {"received": received, "measured": measured}
    need(ask_run(model, inputs) == [wave, estimate], "other numbers than `moire predict`")
    outputs = model.run(received, as_array(measured, "f"))
    need(lists_of(outputs.estimate) == estimate and is_array(outputs.estimate) == (numpy is not None), "by position")
    need(lists_of(model.run(received, as_array(measured, "d")).estimate) == estimate, "float64 is rounded")
    if numpy is not None:
        r, m = numpy.array(received, "complex64"), numpy.array(measured, "float32")
        need(lists_of(model.run(r, m).estimate) == estimate, "numpy")
        need(lists_of(model.run(r.astype("complex128")[::-1], m[::-1]).estimate) == estimate[::-1], "strides")
        r.setflags(write=False)
        need(lists_of(model.run(r, m).estimate) == estimate, "read-only")
    again = pickle.loads(pickle.dumps(model))
    jobs = [(again, {key: value[i : i + 7] for key, value in inputs.items()}) for i in range(0, shape[0], 7)]
    for results in in_processes(ask_run, jobs):
        need([row for parts in results for row in parts[1]] == estimate, "processes")
    need(len(lists_of(model.run([], []).estimate)) == 0, "no samples")
    refused(ValueError, ["measured: wanted f32[%d, 3], but [1, 3] came" % shape[0]], model.run, received, measured[:1])
    refused(ValueError, ["received: wanted c64[n, 16]"], model.run, [row[:3] for row in received], measured)
    refused(ValueError, ["received"], model.run, [received[0], received[1][:3]], measured[:2])
    refused(ValueError, ["received"], model.run, 5, measured)
    refused(TypeError, ["measured"], model.run, received[:1], [["a", "b", "c"]])
    refused(TypeError, ["measured"], model.run, received[:1], [[1j, 2j, 3j]])
    refused(TypeError, ["argument"], model.run, received)
    refused(ValueError, ["received: wanted c64[3, 16]"], model.run, received, measured, n=3)
    need("c64[n, 16]" in open(library.__file__).read(), "the types of the header")


def odd(name):
    """Every type of elements; inputs are called lambda, n, step, self, x.y and tuple, outputs class and None."""
    library = importlib.import_module(name)
    state = library.State(3)
    table = lists_of(state.tensors()[0].data)
    x, half = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[0.5, -1.25, 3.0], [1.0, 1.0 + 2.0**-8, 1.0 + 3 * 2.0**-8]]
    rows, others, kept, z = [4, 0], [1, 2], [[True, False, True], [False, True, True]], [[1 + 2j, 3j], [0j, -1 + 0j]]
    rounded = [[0.5, -1.25, 3.0], [1.0, 1.0, 1.0 + 4 * 2.0**-8]]  # to the nearest, to even at a tie
    single = lambda number: struct.unpack("f", struct.pack("f", number))[0]
    inputs = dict(lambda_=x, n_=rows, step_=others, self_=kept, x_y=z, tuple=half)
    model = state.freeze()
    got = model.run(**inputs)
    want = [
        [single(single(x[b][i] * kept[b][i] + rounded[b][i]) + single(table[rows[b]][i] + table[others[b]][i])) for i in range(3)]
        for b in range(2)
    ]
    y = lists_of(got.class_)
    close = all(abs(a - b) < 1e-5 for p, q in zip(y, want) for a, b in zip(p, q))
    need(close, "class: %s, wanted %s" % (y, want))
    need(all(abs(a - b) <= abs(a) / 256 for p, q in zip(y, lists_of(got.half)) for a, b in zip(p, q)), "bf16 comes back")
    need(lists_of(got.None_) == [[2 + 4j, 6j], [0j, -2 + 0j]], "complex numbers")
    need(lists_of(got.flag) == [[y[b][i] > x[b][i] for i in range(3)] for b in range(2)], "bool")
    need(type(lists_of(got.flag)[0][0]) is bool and lists_of(got.count) == rows, "whole numbers")
    bits = [[struct.unpack("<H", struct.pack("<f", number)[2:])[0] for number in row] for row in rounded]
    as_bits = numpy.array(bits, "uint16") if numpy is not None else memoryview(array.array("H", sum(bits, []))).cast("B").cast("H", [2, 3])
    need(lists_of(model.run(**dict(inputs, tuple=as_bits)).class_) == y, "bf16 as bits")
    refused(library.Error, ["not from 0"], model.run, **dict(inputs, n_=[5, 0]))
    refused(ValueError, ["n_: a number is not from"], model.run, **dict(inputs, n_=[2**40, 0]))
    refused(ValueError, ["self_: a number is not from 0 to 1"], model.run, **dict(inputs, self_=[[2, 0, 0], [0, 0, 0]]))
    refused(TypeError, ["n_"], model.run, **dict(inputs, n_=[0.5, 0.0]))
    examples = {key: value for key, value in inputs.items() if key != "x_y"}  # which the loss does not read
    examples["wanted"] = x
    first = state.loss(**examples)
    losses = [state.step(**examples, seed=1, step=i) for i in range(30)]
    need(abs(losses[0] - first) < 1e-5 * abs(first) and losses[-1] < first, "the loss does not fall: %s" % losses)
    need(pickle.loads(pickle.dumps(state)).loss(**examples) == state.loss(**examples), "a state is pickled")


def code(name, features, wanted):
    """FEATURES is a .npy of float32, WANTED lines of codes behind the item's number."""
    library = importlib.import_module(name)
    with open(features, "rb") as file:
        numbers = array.array("f", file.read()[128:])
    rows = nested(list(numbers), [len(numbers) // library.FEATURES, library.FEATURES])
    with open(wanted) as file:
        codes = [[int(word) for word in line.split()[1:]] for line in file]
    model = library.Model()
    need(lists_of(model.encode(rows)) == codes, "other codes than `moire encode`")
    need(lists_of(model.encode(as_array(rows, "f"))) == codes, "codes of an array")
    back = lists_of(model.decode(codes))
    need(len(back) == len(rows) and len(back[0]) == library.FEATURES, "features come back")
    need(lists_of(model.encode(back)) == lists_of(model.encode(as_array(back, "f"))), "and forth")
    need(library.codes(0) == 8 and library.codes(9) == 0, "codes of a level")
    refused(library.Error, ["a code is not"], model.decode, [[8, 0, 0]])
    refused(ValueError, ["features: wanted f32[n, %d]" % library.FEATURES], model.encode, [[1.0]])
    refused(TypeError, ["codes: wanted numbers that are i32"], model.decode, [[0.5, 0.0, 0.0]])


def rate(name, data, wanted):
    """DATA is u1.base of MovieLens, WANTED what `moire recommend --json` says; items have the names 1, 2, ..."""
    library = importlib.import_module(name)
    users = {}
    with open(data) as file:
        for line in file:
            user, item, rating, time = line.split()
            users.setdefault(user, []).append((int(item) - 1, int(rating), float(time)))
    with open(wanted) as file:
        lines = [json.loads(line) for line in file]
    rated = list(users.values())
    model = library.Model()
    k = library.ITEM_SIZE
    best = model.top(rated, k)
    items = [[int(item) - 1 for item in line["items"]] for line in lines]
    need(ended(lists_of(best.items)) == items, "other items than `moire recommend`")
    got = [row[: len(line["scores"])] for row, line in zip(lists_of(best.scores), lines)]
    need(got == [line["scores"] for line in lines], "other scores")
    columns = list(zip(*[entry for user in rated for entry in user]))
    flat = library.Ratings(*columns, lengths=[len(user) for user in rated])
    need(lists_of(model.top(flat, k).items) == lists_of(best.items), "columns")
    again = pickle.loads(pickle.dumps(model))
    for results in in_processes(ask_top, [(again, [user], k) for user in rated]):
        need([ended(got)[0] for got, scores in results] == items, "processes")
    need(len(lists_of(model.scores(rated))[0]) == k, "scores")
    refused(library.Error, ["an item"], model.top, [[(k, 1)]])
    refused(library.Error, ["a rating"], model.top, [[(0, 77)]])
    refused(library.Error, ["a time"], model.top, [[(0, 1, float("nan"))]])
    refused(ValueError, ["(item, rating)"], model.top, [[(0,)]])
    refused(ValueError, ["times of all"], model.top, [[(0, 1), (1, 1, 2.0)]])
    refused(ValueError, ["users: ratings: wanted i32[2], but [1] came"], model.top, library.Ratings([1, 2], [1], lengths=[2]))


def ask_generate(model, prompts, most, draw):
    return model.generate(prompts, most, **draw)


def generate(name, wanted, text):
    """WANTED: lines of {"prompts": ids, "most": N, "draw": {...}, "ids": ids}; TEXT what the command writes, of "the cat"."""
    library = importlib.import_module(name)
    model = library.Model()
    with open(wanted) as file:
        lines = [json.loads(line) for line in file]
    for line in lines:
        got = model.generate(line["prompts"], line["most"], **line["draw"])
        need(got == line["ids"], "other words than `moire generate`: %s, wanted %s" % (got, line["ids"]))
    again = pickle.loads(pickle.dumps(model))
    jobs = [(again, line["prompts"], line["most"], line["draw"]) for line in lines]
    for results in in_processes(ask_generate, jobs):
        need(results == [line["ids"] for line in lines], "processes")
    prompt = lines[0]["prompts"][0]
    with model.start(2, 40) as rows:
        rows.append([prompt, prompt[:1]])
        need(len(lists_of(rows.logits())[1]) == library.WORDS and rows.length(0) == len(prompt), "rows")
        words = lists_of(rows.next())
        need(rows.length(0) == len(prompt) + 1, "the word that follows is appended")
        rows.rewind(0, len(prompt))
        need(lists_of(rows.next())[0] == words[0], "a row is rewound")
        refused(ValueError, ["a list for each of 2 rows"], rows.append, [[1]])
        refused(library.Error, ["a word"], rows.append, [[library.WORDS], []])
        refused(ValueError, ["room for 40"], rows.append, [[1] * 60, []])
        refused(TypeError, ["pickle the model"], pickle.dumps, rows)
    refused(ValueError, ["is closed"], rows.next)
    refused(library.Error, ["no word"], model.generate, [[]], 3)
    refused(library.Error, ["sampling"], model.generate, [prompt], 3, temperature=-1.0)
    refused(TypeError, ["prompts"], model.generate, [1, 2], 3)
    refused(TypeError, ["a word: wanted a whole number"], model.generate, [[1.5]], 3)
    refused(ValueError, ["most: wanted"], model.generate, [prompt], -1)
    need(model.generate([], 3) == [], "no prompts")
    if text:
        with open(text, encoding="utf-8") as file:
            want = file.read().rstrip("\n")
        need("".join(model.write("the cat", 20)) == want, "%r, wanted %r" % ("".join(model.write("the cat", 20)), want))
        need(model.encode_text("the cat", begins=False) == model.encode_text(b"the cat")[1:], "words of a text")
        need(model.decode_text(model.encode_text("the cat sat.")) == "the cat sat.", "text of words")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
