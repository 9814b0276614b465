"""Rules of our own over the synthesized templates, beside the packs: what no pack knows of this system.

`pack.SlipwayRules` is the pack; the modules beside it hold the rules by what they are about, `planted.py` a stack that
breaks each of them. Lists that are data, with their sources, lie in `data/`. No CDK is loaded.
"""
