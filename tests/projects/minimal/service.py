import bentoml


@bentoml.service
class GreetingCardService:
    """Write greetings."""

    @bentoml.api
    def greet(self, name: str = "you") -> str:
        """Greet somebody."""
        return f"Hello, {name}!"
