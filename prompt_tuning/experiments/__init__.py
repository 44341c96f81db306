"""The paper's curves and ablations: a plan of many runs, run, collected and plotted."""
