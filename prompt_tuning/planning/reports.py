"""What a chip of a slice would do in a program: memory, arithmetic, traffic, and the least time."""

from collections.abc import Callable
import dataclasses
import time

import jax

from prompt_tuning.planning import chips
from prompt_tuning.planning import hlo

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Report:
    """Of one program, for each chip.

    Attributes:
      chip: which it was compiled for.
      compile_s: seconds to trace, lower and compile it here.
      arguments: bytes of weights, state and batch.
      temporaries: bytes beside them at the worst moment.
      flops: of a step, in products of matrices.
      memory_bytes: to and from HBM, by the compiled program.
      collectives: what the chips tell each other.
      does_not_fit: what the compiler said where it found no room; the numbers are then 0.
    """

    chip: chips.Chip
    compile_s: float
    arguments: int = 0
    temporaries: int = 0
    flops: int = 0
    memory_bytes: int = 0
    collectives: tuple[hlo.Collective, ...] = ()
    does_not_fit: str = ""

    @property
    def link_bytes(self) -> float:
        return sum((x.link_bytes for x in self.collectives), 0.0)

    @property
    def seconds(self) -> dict[str, float]:
        """What each of the chip's rates needs for a step alone: the largest is the roofline.

        A step that hides all else behind it takes so long, any real one longer.
        """
        return {
            "arithmetic": self.flops / self.chip.flops,
            "memory": self.memory_bytes / self.chip.memory_rate,
            "links": self.link_bytes / self.chip.link_rate,
        }

    @property
    def roofline_s(self) -> float:
        return max(self.seconds.values())

    def __str__(self) -> str:
        compiled = f"compiled in {self.compile_s:.0f} s"
        if self.does_not_fit:
            return f"does not fit ({compiled}): {self.does_not_fit}"
        used = self.arguments + self.temporaries
        by_rate = ", ".join(f"{name} {s * 1e3:.1f} ms" for name, s in self.seconds.items())
        lines = [
            f"memory       {used / GIB:.2f} of {self.chip.memory / GIB:.0f} GiB: arguments "
            f"{self.arguments / GIB:.2f}, temporaries {self.temporaries / GIB:.2f}: fits",
            f"arithmetic   {self.flops / 1e12:.3f} TFLOP",
            f"traffic      {self.memory_bytes / 1e9:.2f} GB of HBM, {self.link_bytes / 1e9:.3f} GB "
            "over links",
            f"at least     {self.roofline_s * 1e3:.1f} ms ({by_rate})",
            *(f"collective   {line}" for line in self._collective_lines()),
            compiled,
        ]
        return "\n".join(lines)

    def _collective_lines(self) -> list[str]:
        kinds = {}
        for x in self.collectives:
            kinds.setdefault((x.opcode, x.group), []).append(x)
        return [
            f"{opcode} among {group}: {sum(x.times for x in found)} times, "
            f"{sum(x.link_bytes for x in found) / 1e9:.6f} GB"
            for (opcode, group), found in kinds.items()
        ]


def compile_and_read(lower: Callable[[], jax.stages.Lowered], chip: chips.Chip) -> Report:
    """Compiles what `lower()` gives. Other errors than a lack of memory are raised."""
    start = time.perf_counter()
    try:
        compiled = lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        said = str(error).split("RESOURCE_EXHAUSTED:")[-1].strip().splitlines()[0]
        return Report(chip, time.perf_counter() - start, does_not_fit=said)
    seconds = time.perf_counter() - start
    memory, program = compiled.memory_analysis(), hlo.Program(compiled.as_text())
    return Report(
        chip,
        seconds,
        memory.argument_size_in_bytes,
        memory.temp_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes,
        program.flops,
        program.memory_bytes,
        tuple(program.collectives),
    )
