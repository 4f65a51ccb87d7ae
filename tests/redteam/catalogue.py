# SPDX-License-Identifier: BSD-3-Clause
"""All scenarios, in order."""

import importlib
import re

from ground import SCENARIOS, Scenario

for module in ("traffic", "box", "social", "guest"):
    importlib.import_module(module)


def scenarios() -> list[Scenario]:
    return sorted(SCENARIOS, key=lambda item: (int(re.search(r"\d+", item.id)[0]), item.id))
