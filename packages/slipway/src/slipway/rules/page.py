"""Write the page that lists the rules on AWS behaviour."""

from __future__ import annotations

from collections.abc import Iterable

from slipway.project import ROOT
from slipway.rules.aws.pack import RULES, identifier
from slipway.rules.aws.rule import AwsRule

PAGE = ROOT / "docs" / "rules.md"
"""The page, as committed."""

_HEAD = """# What only AWS can show

A template can be valid, pass every linter, deploy on every emulator, and still fail on AWS: the alarm mail that never
arrives, the scaling target that is refused, the rollback that finds no artifact. Each rule below covers one such
behaviour. It reads the synthesised templates, follows references across stacks, and fails at `cdk synth`.

The rules don't depend on this repository. Any other CDK app can use them as a pack, like those of cdk-nag:

```python
from slipway.nag.packs import register
from slipway.rules.aws.pack import OnlyAwsRules

register(app, packs, own=[OnlyAwsRules()])
```

Acknowledge a finding like any other ([how the gate works](nag.md)). At each run every rule must first detect a fault
that is planted for it; otherwise the gate fails.

This page is written by `make docs`.
"""


def page(rules: Iterable[AwsRule] = RULES) -> str:
    """Return the page in Markdown.

    Args:
        rules: The rules, in order. Default: all of them.
    """
    sections = [
        f"## {identifier(rule)}\n\n{rule.does}\n\n- **Red when:** {rule.says}\n- **Fix:** {rule.fix}\n"
        f"- **Source:** <{rule.source}>\n"
        for rule in rules
    ]
    return "\n".join([_HEAD, *sections])
