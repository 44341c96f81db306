"""All benchmarks by name. A new one needs its file here and nothing else."""

from prompt_tuning.data.benchmarks import glue, question_answering, super_glue

BENCHMARKS = {
    benchmark.name: benchmark
    for module in (super_glue, glue, question_answering)
    for benchmark in module.BENCHMARKS
}
