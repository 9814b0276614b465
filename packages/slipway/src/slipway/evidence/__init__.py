"""What shows that a change may go to prod, on one page: `slipway evidence` (docs/evidence.md).

It runs no gate. It reads what the gates left, holds what the documents claim to the code and to the tests, and says
green only where every part was there, was made for this assembly, and is green itself.
"""
