"""What an environment and the pipeline cost a month, estimated from the synthesised templates."""

from gates.cost.assembly import Stack, read_assembly
from gates.cost.catalogue import unknown_types
from gates.cost.errors import CostError
from gates.cost.estimate import Estimate, estimate
from gates.cost.prices import PRICES_FILE, PriceFile, load_prices
from gates.cost.report import embedded, markdown

__all__ = [
    "PRICES_FILE",
    "CostError",
    "Estimate",
    "PriceFile",
    "Stack",
    "embedded",
    "estimate",
    "load_prices",
    "markdown",
    "read_assembly",
    "unknown_types",
]
