"""`data/checking/rules.py`: the table and the code know the same rules."""

import re
from pathlib import Path

import tfmaskrcnn.data
from tfmaskrcnn.data.checking.rules import LEVELS, RULES

FOLDER = Path(tfmaskrcnn.data.__file__).parent


def test_every_rule_is_applied_and_every_applied_rule_is_in_the_table():
    sources = {path: path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.py")}
    code = "".join(text for path, text in sources.items() if path.name != "rules.py")
    raised = set(re.findall(r'(?:Fault|Finding)\(\s*"([a-z-]+)"', code))
    assert raised <= set(RULES)
    assert not [rule for rule in RULES if f'"{rule}"' not in code]


def test_every_rule_has_a_level_and_a_title():
    assert all(rule.level in LEVELS and rule.title for rule in RULES.values())
