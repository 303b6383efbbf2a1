"""A remote engine, from its settings to an engine that is used like a local one. See `remote`."""

from __future__ import annotations

from pathlib import Path

from starfill.assist.prompts.detect import controls_of, detect, family_named
from starfill.assist.prompts.families import FAMILIES
from starfill.assist.prompts.family import Dialect, Family, Identity
from starfill.checkpoint.hub import Repository
from starfill.checkpoint.special import read_special
from starfill.checkpoint.stand_in import stand_in
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.config import allowed_engines
from starfill.config.settings import Settings
from starfill.errors import ConsentError, SettingsError
from starfill.remote.address import Address
from starfill.remote.connect import ConnectedEngine, connect
from starfill.remote.engine import RemoteEngine
from starfill.remote.origin_key import api_key


def open_engine(settings: Settings, bundled: Path) -> tuple[RemoteEngine, CheckpointTokenizer, Dialect]:
    """bundled: the folder of the bundled model. Raises StarfillError with the sentence to show."""
    address = Address.parse(settings.engine_url)
    if not address.loopback and address.origin not in allowed_engines.allowed():
        way = "" if address.encrypted else ", unencrypted"
        raise ConsentError(
            f"{address.origin} is another machine, and the code around your cursor would be sent there{way}: to allow "
            f"that, run `starfill engine allow {address.origin}`",
            address.origin,
        )
    key = api_key(address, settings.engine_api_key_env, settings.engine_api_key_file)
    connected = connect(address, key, settings.engine_kind, settings.engine_model)
    try:
        return _spoken_to(connected, settings, bundled)
    except BaseException:
        connected.close()
        raise


def _spoken_to(
    connected: ConnectedEngine, settings: Settings, bundled: Path
) -> tuple[RemoteEngine, CheckpointTokenizer, Dialect]:
    described = connected.described
    names = [described.known_as, described.model]
    if (folder := _tokenizer_folder(connected, settings, bundled)) is not None:
        tokenizer = CheckpointTokenizer.from_folder(folder, 0)
        agrees = connected.agrees(tokenizer)
        if agrees or (settings.engine_tokenizer and agrees is None):
            special = read_special(folder, tokenizer)
            identity = Identity(
                architecture="",
                special=tokenizer.special,
                chat_template=described.chat_template or special.chat_template,
                name=" ".join(names),
                declared=special.family,
                bos=special.bos,
                eos=special.eos,
            )
            dialect = detect(identity, _family(settings, names, needed=False))
            return connected.engine(tokenizer, True, dialect.bos), tokenizer, dialect
        if settings.engine_tokenizer:
            raise SettingsError(
                f'The setting "starfill.engine.tokenizer" is "{settings.engine_tokenizer}", but {described.model} at '
                f"{connected.connection.address.base} has other tokens: name the same model, or leave the setting empty"
            )
    name = _family(settings, names, needed=True)
    tokenizer = stand_in(bundled, controls_of(FAMILIES[name]))
    identity = Identity("", tokenizer.special, described.chat_template, " ".join(names))
    dialect = detect(identity, name)
    return connected.engine(tokenizer, False, dialect.bos), tokenizer, dialect


def _family(settings: Settings, names: list[str], *, needed: bool) -> str:
    """The family's name, or "auto" if the tokenizer can tell it. needed: nothing but the name can."""
    if settings.engine_family != "auto":
        return settings.engine_family
    found: Family | None = family_named(names)
    if found is not None:
        return found.name
    if needed:
        raise SettingsError(
            f'The name "{names[-1]}" doesn\'t tell the family of that model: set "starfill.engine.family" to its '
            'family, or "starfill.engine.tokenizer" to a model here that has its tokenizer'
        )
    return "auto"


def _tokenizer_folder(connected: ConnectedEngine, settings: Settings, bundled: Path) -> Path | None:
    """The folder with the tokenizer of the engine's model; None if text has to be sent."""
    wanted = settings.engine_tokenizer
    if wanted and not connected.api.takes_ids:
        raise SettingsError(
            f'The setting "starfill.engine.tokenizer" is "{wanted}", but an engine of the kind {connected.api.name} '
            "takes only text: leave the setting empty"
        )
    if wanted == "bundled":
        return bundled
    if wanted:
        repository = Repository.parse(wanted)
        path = Path(wanted).expanduser()
        return path if path.exists() or repository is None else repository.snapshot or path
    if not connected.api.takes_ids:
        return None
    found = [Repository.parse(name) for name in (connected.described.model, connected.described.known_as)]
    folders = (each.snapshot for each in found if each is not None)
    folder = next((each for each in folders if each is not None), None)
    return folder if folder is not None and (folder / "tokenizer.json").exists() else None
