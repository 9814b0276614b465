"""What counts as a reason, and that a signed reason survives CDK's report unchanged."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.nag.names import PACKS
from slipway.nag.reason import is_sentence, read, repeats, sign
from slipway.nag.texts import rule_texts

RULE = "The S3 Bucket has server access logs disabled. The bucket should have logging enabled."
# What `acknowledge` accepts as an owner, and the form of a place in the code
OWNERS = st.text(st.characters(exclude_characters="[];", exclude_categories=["C"]), min_size=1).filter(str.strip)
PLACES = st.from_regex(r"[a-z/_]{1,20}\.py:[1-9][0-9]{0,3}", fullmatch=True)


@given(reason=st.text(min_size=1).filter(str.strip), owner=OWNERS, expires=st.dates(), at=PLACES)
def test_signed_reason_is_read_back(reason: str, owner: str, expires: date, at: str) -> None:
    signed = read(sign(reason, owner=owner, expires=expires, at=at))

    assert signed
    assert (signed.reason, signed.owner, signed.expires, signed.at) == (reason.strip(), owner.strip(), expires, at)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Fine.",
        "Fine. [owner: a; expires: 2027-06-30]",
        "Fine. [owner: ; expires: 2027-06-30; at: a.py:1]",
        "Fine. [owner: a; expires: 2027-13-40; at: a.py:1]",
        "[owner: a; expires: 2027-06-30; at: a.py:1]",
    ],
)
def test_incomplete_signature_is_not_read(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("", False),
        ("It is fine.", False),
        ("1 2 3 4 5 6 7", False),
        ("AwsSolutions-S1 is fine", False),
        ("Nobody but the platform writes here.", True),
    ],
)
def test_a_sentence_has_five_words_besides_the_rule(reason: str, sentence: bool) -> None:
    assert is_sentence(reason, rule="AwsSolutions-S1") is sentence


@pytest.mark.parametrize(
    "reason",
    [
        "The S3 bucket has server access logs disabled",
        "THE S3 BUCKET -- has server\naccess logs (disabled)!",
        "The S3 Bucket has server access logs disabled. The bucket should have logging enabled.",
        "Here the S3 bucket has server access logs disabled, which is fine",
    ],
)
def test_the_rules_own_text_is_not_a_reason(reason: str) -> None:
    assert repeats(reason, RULE)


@pytest.mark.parametrize(
    "reason",
    [
        "This bucket receives the access logs; logging it to itself would write a log for each log.",
        "The S3 bucket has server access logs disabled since it is the one that receives them from all others.",
        "Nothing in common with it.",
    ],
)
def test_reason_may_share_words_with_its_rule(reason: str) -> None:
    assert not repeats(reason, RULE)


@given(st.text())
def test_a_rule_without_a_text_is_not_repeated(reason: str) -> None:
    assert not repeats(reason, "")


@pytest.mark.parametrize("rule", sorted(rule_texts()))
def test_no_rule_of_a_pack_accepts_its_own_text(rule: str) -> None:
    # Given each rule text of the installed packs, as a whole and its first sentence
    text = rule_texts()[rule]

    assert repeats(text, text)
    assert repeats(text.partition(". ")[0].upper(), text)


@pytest.mark.parametrize("pack", PACKS)
def test_every_pack_has_rule_texts(pack: str) -> None:
    # Serverless is the smallest pack, with 18 rules in cdk-nag 3.0.2
    texts = {rule: text for rule, text in rule_texts().items() if rule.startswith(f"{pack}-")}

    assert len(texts) >= 18
    assert all(len(text.split()) > 5 for text in texts.values())
