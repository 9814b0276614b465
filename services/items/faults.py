"""Faults for the drill in `items`, besides those for any service with an API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

BEFORE_THE_HANDLER: Mapping[str, str] = {
    "hook-fails": (
        '    if event["httpMethod"] == "POST" and \'"name": ""\' in (event["body"] or ""):\n'
        '        return {"statusCode": 201, "multiValueHeaders": {}, "body": "{}"}\n'
    ),
    "wrong-answer-compared": (
        '    if event["httpMethod"] == "GET" and event["path"] == "/items":\n'
        "        import json\n\n"
        "        answer = _sound(event, context)\n"
        '        if answer["statusCode"] == 200:\n'
        '            page = json.loads(answer["body"])\n'
        '            answer["body"] = json.dumps({**page, "items": [{"id": "of-nobody"}, *page["items"]]})\n'
        "        return answer\n"
    ),
}
"""Fault → what the handler of the API does first."""

_KEY = "        key = self.key(stack)\n"
_SPARE = (
    "        kept = RemovalPolicy.RETAIN\n"
    '        aws_kms.Key(stack, "Spare", enable_key_rotation=True, removal_policy=kept)\n'
)

REPLACED: Mapping[str, Sequence[tuple[str, str]]] = {
    "permission-missing": [('"dynamodb:GetItem", "dynamodb:PutItem", ', '"dynamodb:GetItem", ')],
    "template-invalid": [
        ("from aws_cdk import Stack\n", "from aws_cdk import Fn, Stack\n"),
        (
            'output(stack, "DistributionId", edge.distribution.distribution_id, "Id of the distribution")',
            'output(stack, "DistributionId", Fn.ref("Nothing"), "Id of the distribution")',
        ),
    ],
    "rollback-refused": [
        ("from aws_cdk import Stack\n", "from aws_cdk import RemovalPolicy, Stack, aws_kms\n"),
        (
            _KEY,
            _KEY + _SPARE,
        ),
    ],
}
"""Fault → texts of `infrastructure.py`, and their replacements with the fault."""
