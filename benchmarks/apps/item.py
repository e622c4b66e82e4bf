"""The model of w3: ten fields."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel


class Item(BaseModel):
    """A thing of some kind."""

    id: UUID
    name: str
    description: str
    price: float
    quantity: int
    active: bool
    created: datetime
    tags: list[str]
    sizes: list[float]
    attributes: dict[str, str]


class ItemBody(BaseModel):
    """What a client sends."""

    item: Item
