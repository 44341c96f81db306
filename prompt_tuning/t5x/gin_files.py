"""Importing this module lets T5X's gin read this project's gin files: where they are, and the names
in those that both engines share (sizes, prompts, optimizers).

gin_registration knows all names, but also the default engine's entry points, `train` and `infer`,
which T5X's gin would mistake for its own.
"""

import gin

from prompt_tuning.gin_folder import GIN_FOLDER
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import config
from prompt_tuning.training import optimizers

SHARED = [
    config.T5Config,
    soft_prompt.SoftPrompt,
    initializers.Uniform,
    initializers.SampledVocab,
    initializers.ClassLabels,
    initializers.FromText,
    initializers.FromFile,
    optimizers.adafactor,
    optimizers.adamw,
]

for _part in SHARED:
    gin.external_configurable(_part, module="prompt_tuning")
gin.add_config_file_search_path(str(GIN_FOLDER))
