"""Write the page that lists the rules about what only AWS would tell."""

from __future__ import annotations

from collections.abc import Iterable

from slipway.project import ROOT
from slipway.rules.aws.pack import RULES, identifier
from slipway.rules.aws.rule import AwsRule

PAGE = ROOT / "docs" / "rules.md"
"""The page, as committed."""

_HEAD = """# What only AWS would tell

A template can be valid, pass every linter, deploy on every emulator, and still fail on AWS: the alarm mail that never
arrives, the scaling target that is refused, the rollback that finds no artifact. Each rule below holds one such
behaviour. It reads the synthesized templates, follows references across stacks, and is red at `cdk synth`.

The rules know nothing of this repository. In another CDK app they are a pack like those of cdk-nag:

```python
from slipway.nag.packs import register
from slipway.rules.aws.pack import OnlyAwsRules

register(app, packs, own=[OnlyAwsRules()])
```

Acknowledge a finding as any other ([how the gate works](nag.md)). At each run every rule first has to see a fault that
is planted for it; a rule that doesn't makes the gate red.

This page is written by `make docs`.
"""


def page(rules: Iterable[AwsRule] = RULES) -> str:
    """Return the page in Markdown.

    Args:
        rules: The rules, in their order. Default: all of them.
    """
    sections = [
        f"## {identifier(rule)}\n\n{rule.does}\n\n- **Red when:** {rule.says}\n- **Fix:** {rule.fix}\n"
        f"- **Source:** <{rule.source}>\n"
        for rule in rules
    ]
    return "\n".join([_HEAD, *sections])
