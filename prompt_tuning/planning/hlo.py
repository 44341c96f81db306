"""A compiled program's text, read: its arithmetic, its traffic and what devices tell each other.

XLA's own cost analysis counts the body of a loop once, however often it runs; here every instruction
counts as often as the loops around it say. What is counted is what one device does.
"""

from collections.abc import Iterator
import dataclasses
import functools
import math
import re

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2}
_BYTES |= {"s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8, "token": 0}
_SHAPE = re.compile(r"([a-z][a-z0-9]*)\[([\d,]*)\](\{[^}]*\})?")
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (.*)$")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_MESH_GROUPS = re.compile(
    r"replica_groups=mesh\[([^\]]*)\](?:, device_ids=\([^{}]*\))?\s*\{([^}]*)\}"
)
COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_CALLS = ("fusion", "call", "async-start")
_UPDATE = "dynamic-update-slice"
# What reads and writes nothing by itself, or is counted where its parts are.
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional"}
_FREE |= {"call", "async-start", "after-all", "partition-id", "replica-id", "iota"}


@dataclasses.dataclass(frozen=True)
class Array:
    """An array's type and dimensions; `on_chip` if it never leaves the chip's own memory."""

    dtype: str
    dimensions: tuple[int, ...]
    on_chip: bool

    @property
    def bytes(self) -> int:
        return _BYTES[self.dtype] * math.prod(self.dimensions)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line: `name = result opcode(operands), attributes`."""

    name: str
    result: tuple[Array, ...]
    opcode: str
    operands: tuple[str, ...]
    attributes: str

    def computation(self, attribute: str) -> str | None:
        """The computation that an attribute names."""
        found = re.search(rf"\b(?:{attribute})=%?([\w.\-]+)", self.attributes)
        return found and found[1]

    @property
    def number(self) -> int:
        """Of a parameter."""
        return int(self.attributes)

    def numbers(self, attribute: str) -> list[int]:
        """Of `attribute={1,2}`."""
        found = re.search(rf"\b{attribute}=\{{([\d,]*)\}}", self.attributes)
        return [int(x) for x in found[1].split(",") if x] if found else []


@dataclasses.dataclass(frozen=True)
class Collective:
    """What devices tell each other: an operation, what comes of it, and how often."""

    opcode: str
    result: tuple[Array, ...]
    group: int  # devices that take part together
    times: int

    @property
    def link_bytes(self) -> float:
        """Bytes that a device sends over its links, all times, by the ring algorithms."""
        size = sum(x.bytes for x in self.result)
        others = (self.group - 1) / self.group
        per_time = {
            "all-reduce": 2 * size * others,
            "all-gather": size * others,
            "reduce-scatter": size * (self.group - 1),
            "all-to-all": size * others,
            "collective-permute": size,
        }
        return per_time[self.opcode] * self.times


class Program:
    """A compiled program, from `jax.stages.Compiled.as_text()`."""

    def __init__(self, text: str):
        self._computations: dict[str, dict[str, Instruction]] = {}
        self._entry = ""
        computation: dict[str, Instruction] = {}
        for line in text.splitlines():
            if head := _HEAD.match(line):
                computation = self._computations.setdefault(head[2], {})
                self._entry = head[2] if head[1] else self._entry
            elif found := _INSTRUCTION.match(line):
                instruction = _instruction(found[1], found[2])
                computation[instruction.name] = instruction

    @property
    def flops(self) -> int:
        """Of the products of matrices, two for each multiply-add: nearly all of a network's."""
        return sum(
            times * self._product_flops(name, x)
            for name, x, times in self._executed(into_fusions=True)
            if x.opcode in ("dot", "convolution")
        )

    @property
    def memory_bytes(self) -> int:
        """Bytes to and from the device's main memory: what each fused operation reads and writes."""
        total = 0
        for name, x, times in self._executed(into_fusions=False):
            if x.opcode not in _FREE and not x.opcode.endswith("-done"):
                arrays = [*self._read(name, x), *self._written(name, x)]
                total += times * sum(y.bytes for y in arrays if not y.on_chip)
        return total

    @property
    def collectives(self) -> list[Collective]:
        """Each once, also where the compiler spreads one over several fused operations."""
        found = {}
        for _, x, times in self._executed(into_fusions=True):
            opcode = x.opcode.removesuffix("-start")
            if opcode in COLLECTIVES:
                channel = re.search(r"channel_id=(\d+)", x.attributes)
                key = channel[1] if channel else x.name
                found[key] = Collective(opcode, _received(x), _group_size(x), times)
        return list(found.values())

    def _executed(self, *, into_fusions: bool) -> Iterator[tuple[str, Instruction, int]]:
        """(computation, instruction, how often it runs)."""

        def walk(name: str, times: int) -> Iterator[tuple[str, Instruction, int]]:
            for x in self._computations[name].values():
                yield name, x, times
                if x.opcode == "while":
                    yield from walk(x.computation("body"), times * self._trips(x))
                elif x.opcode in _CALLS and (into_fusions or x.opcode != "fusion"):
                    yield from walk(x.computation("calls|to_apply"), times)

        return walk(self._entry, 1)

    def _read(self, computation: str, x: Instruction) -> Iterator[Array]:
        """What an operation reads of its operands: of one that is only sliced, the slices."""
        if x.opcode in ("dynamic-slice", "slice", "gather"):
            yield from x.result
        elif x.opcode == _UPDATE:
            yield from self._result(computation, x.operands[1])
        else:
            body = self._computations.get(x.computation("calls") or "", {})
            for number, operand in enumerate(x.operands):
                sliced = self._slices(body, number) if x.opcode == "fusion" else None
                yield from self._result(computation, operand) if sliced is None else sliced

    def _slices(self, body: dict[str, Instruction], number: int) -> list[Array] | None:
        """What a fusion reads of its operand `number`; None if it may be all of it."""
        names = {x.name for x in body.values() if x.opcode == "parameter" and x.number == number}
        read: list[Array] = []
        for x in body.values():  # in the order of execution
            if not names & set(x.operands):
                continue
            if x.opcode == "bitcast":
                names.add(x.name)
            elif x.opcode in ("dynamic-slice", "slice"):
                read.extend(x.result)
            elif x.opcode == "fusion":
                inner = self._computations[x.computation("calls")]
                for i in (i for i, operand in enumerate(x.operands) if operand in names):
                    if (slices := self._slices(inner, i)) is None:
                        return None
                    read.extend(slices)
            elif x.opcode != _UPDATE or x.operands[0] not in names:
                return None
        return read

    def _written(self, computation: str, x: Instruction) -> Iterator[Array]:
        """What an operation writes: into an array that it changes in place, the change."""
        if x.opcode == _UPDATE:
            yield from self._result(computation, x.operands[1])
        elif x.opcode == "fusion":
            called = x.computation("calls")
            updates = [y for y in self._computations[called].values() if y.opcode == _UPDATE]
            changed = {y.result for y in updates}
            yield from (y for y in x.result if (y,) not in changed)
            for y in updates:
                yield from self._result(called, y.operands[1])
        else:
            yield from _received(x) if x.opcode.endswith("-start") else x.result

    def _result(self, computation: str, name: str) -> tuple[Array, ...]:
        found = self._computations[computation].get(name)
        return found.result if found and found.opcode != "constant" else ()

    def _trips(self, loop: Instruction) -> int:
        """How often a loop runs, at most, by its counter, which begins at 0."""
        condition, body = loop.computation("condition"), loop.computation("body")
        counters = [
            int(re.search(r"index=(\d+)", x.attributes)[1])
            for x in self._computations[condition].values()
            if x.opcode == "get-tuple-element"
        ]
        step = self._step(body, counters[0]) if len(counters) == 1 else 1
        return -(-self._bound(condition) // step)

    def _bound(self, condition: str) -> int:
        """The number that a loop's counter is compared with."""
        numbers = [1]
        for x in self._computations[condition].values():
            if x.opcode == "constant" and (found := re.fullmatch(r"\d+", x.attributes)):
                numbers.append(int(found[0]))
            if x.opcode in _CALLS and (called := x.computation("calls|to_apply")):
                numbers.append(self._bound(called))
        return max(numbers)

    def _step(self, body: str, counter: int) -> int:
        """What a loop's body adds to an element of its state: 2 in one that the compiler unrolled."""
        instructions = self._computations[body]
        last = [x for x in instructions.values() if x.opcode == "tuple"][-1]
        new = instructions[last.operands[counter]]
        added = [instructions[operand] for operand in new.operands]
        if new.opcode in _CALLS:
            added += self._computations[new.computation("calls|to_apply")].values()
        steps = [x.attributes for x in added if x.opcode == "constant"]
        return int(steps[0]) if len(steps) == 1 and re.fullmatch(r"[1-9]\d*", steps[0]) else 1

    def _product_flops(self, computation: str, x: Instruction) -> int:
        (result,) = x.result
        left, right = (self._result(computation, operand)[0] for operand in x.operands[:2])
        if x.opcode == "dot":
            summed = x.numbers("lhs_contracting_dims")
            return 2 * math.prod(result.dimensions) * math.prod(left.dimensions[i] for i in summed)
        return _convolution_flops(x, left, right, result)


def _instruction(name: str, text: str) -> Instruction:
    end = _closing(text) + 1 if text.startswith("(") else text.index(" ")
    result, text = text[:end], text[end:].lstrip()
    opcode, rest = text.split("(", 1)
    end = _closing("(" + rest) - 1
    operands = tuple(re.findall(r"%([\w.\-]+)", rest[:end]))
    if opcode in ("constant", "parameter"):  # in the brackets stands a value, or a number
        return Instruction(name, _arrays(result), opcode, (), rest[:end])
    return Instruction(name, _arrays(result), opcode, operands, rest[end + 1 :])


def _closing(text: str) -> int:
    """Where the bracket that opens `text` is closed."""
    depth = 0
    for i, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth:
            return i
    raise ValueError(f"expected a closing bracket in {text[:80]!r}")


@functools.cache
def _arrays(text: str) -> tuple[Array, ...]:
    return tuple(
        Array(dtype, tuple(int(x) for x in dims.split(",") if x), "S(" in (layout or ""))
        for dtype, dims, layout in _SHAPE.findall(text)
        if dtype in _BYTES
    )


def _received(x: Instruction) -> tuple[Array, ...]:
    """What comes of an operation: the result of an asynchronous one tells its operands too."""
    if not x.opcode.endswith("-start") or x.opcode.startswith("all-reduce"):
        return x.result
    if x.opcode == "copy-start":
        return x.result[:1]
    return x.result[len(x.operands) : 2 * len(x.operands)]


def _group_size(x: Instruction) -> int:
    """Of `{{0,1},{2,3}}`, of `[2,4]<=[8]`, or of a mesh's named axes, `mesh['a'=4,'b'=2] {'a'}`.

    Of a mesh whose devices are not in the order of their numbers, `device_ids=(...)` says in which:
    that is who is in a group, not how many. Of an axis a part may take part: 4 of `'a':(2)4`.
    """
    if x.opcode.startswith("collective-permute"):
        return 2
    if found := re.search(r"replica_groups=\{\{([\d,]+)\}", x.attributes):
        return len(found[1].split(","))
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]", x.attributes):
        return int(found[1])
    if found := _MESH_GROUPS.search(x.attributes):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", found[1]))
        axes = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", found[2])
        return math.prod(int(part or sizes[axis]) for axis, part in axes)
    raise ValueError(f"expected replica_groups in {x.opcode} {x.name}: {x.attributes[:200]}")


def _convolution_flops(x: Instruction, left: Array, right: Array, result: Array) -> int:
    """A TPU multiplies matrices by convolutions: batch axes are spatial ones, of which a window
    position counts where it meets a value rather than padding or what dilation puts between.
    """
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", x.attributes)
    inputs, kernel, outputs = labels.groups()
    window = dict(re.findall(r"(\w+)=([\dx_\-]+)", _window(x.attributes)))
    spatial = [label for label in outputs if label.isdigit()]
    size = lambda array, order, label: array.dimensions[order.index(label)]
    positions = 1
    for i, label in enumerate(spatial):
        part = {name: value.split("x")[i] for name, value in window.items()}
        positions *= _valid_positions(size(left, inputs, label), size(result, outputs, label), part)
    features = size(right, kernel, "i") * size(result, outputs, "f") * size(result, outputs, "b")
    return 2 * features * positions


def _window(attributes: str) -> str:
    found = re.search(r"window=\{([^}]*)\}", attributes)
    return found[1] if found else ""


def _valid_positions(inputs: int, outputs: int, window: dict[str, str]) -> int:
    """Pairs of an output and a window position that fall on an input, along one axis."""
    number = lambda name: int(window.get(name, 1))
    low = int(window.get("pad", "0_0").split("_")[0])
    size, stride = number("size"), number("stride")
    inner, outer = number("lhs_dilate"), number("rhs_dilate")
    valid = 0
    for output in range(outputs):
        for position in range(size):
            place = output * stride - low + position * outer
            valid += place % inner == 0 and 0 <= place // inner < inputs
    return valid
