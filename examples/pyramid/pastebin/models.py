"""The one table."""

from datetime import datetime
from typing import Any

from sqlalchemy import Computed, DateTime, Index, String, Text, engine_from_config, func
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker


class Base(DeclarativeBase):
    pass


class Paste(Base):
    """Somebody's text."""

    __tablename__ = "pastes"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(100))
    author: Mapped[str] = mapped_column(String(50))
    text: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), index=True
    )
    words: Mapped[Any] = mapped_column(
        TSVECTOR, Computed("to_tsvector('simple', title || ' ' || text)", persisted=True)
    )

    __table_args__ = (Index("pastes_words", "words", postgresql_using="gin"),)

    def as_dict(self) -> dict[str, Any]:
        """What the cache and the feed have of it."""
        return {
            "id": self.id,
            "title": self.title,
            "author": self.author,
            "text": self.text,
            "created": self.created.isoformat(timespec="seconds"),
        }


def make_sessions(settings: dict[str, Any]) -> sessionmaker[Any]:
    return sessionmaker(engine_from_config(settings, "sqlalchemy."), expire_on_commit=False)
