"""``words.yaml``: words of tables, figures and the config.env builder."""

from .base import Model, Text


class Words(Model):
    """Words that stand in no sentence of a page."""

    words: dict[str, Text]
    headings: dict[str, list[Text]]
    """Headings of a table, by the name of the table."""
