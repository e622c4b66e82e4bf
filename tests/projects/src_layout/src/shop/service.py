import bentoml
from shop.prices import PRICES


@bentoml.service
class Shop:
    @bentoml.api
    def price(self, name: str) -> int:
        return PRICES[name]
