"""Monthly cost of an environment and of the pipeline, estimated from the synthesised templates."""

from slipway.cost.assembly import PricedStack, read_assembly
from slipway.cost.catalogue import unknown_types
from slipway.cost.errors import CostError
from slipway.cost.estimate import Estimate, estimate
from slipway.cost.prices import PRICES_FILE, PriceFile, load_prices
from slipway.cost.report import markdown

__all__ = [
    "PRICES_FILE",
    "CostError",
    "Estimate",
    "PriceFile",
    "PricedStack",
    "estimate",
    "load_prices",
    "markdown",
    "read_assembly",
    "unknown_types",
]
