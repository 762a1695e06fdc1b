"""What `bridge doctor` finds about who may post: the platform is asked as the ingress asks it, nothing is changed."""

from __future__ import annotations

from aiohttp import ClientSession

from bridge.ingress.allow_list import NOT_YET
from bridge.ingress.ip_list import CALL_TIMEOUT_S, NETTYPES, UnusableAnswerError, advice, ask_for_networks, some
from bridge.ingress.known_networks import KnownNetworks, ListId
from bridge.ingress.networks_file import NetworksFile, UnusableFileError
from bridge.settings import InspectionSettings
from common.finding import Finding
from common.rest.api import CallError, RestApi, rest_session
from common.text import duration, plural

SUBJECT = "allowed networks"


async def examine_networks(settings: InspectionSettings) -> list[Finding]:
    """Who may post, and whether the platform says which networks it calls from."""
    if not settings.allowed_networks:
        told = "any address may post, BRIDGE_ALLOWED_NETWORKS is not set: Sign alone proves who does"
        return [Finding(SUBJECT, True, told)]
    static = plural(len(settings.static_networks), "network")
    if not settings.asks_for_networks:
        return [Finding(SUBJECT, True, f"{static} of BRIDGE_ALLOWED_NETWORKS")]
    if not settings.im_apps:
        told = "BRIDGE_ALLOWED_NETWORKS is auto, and BRIDGE_IM_APPS is not set here: the ingress does not start so"
        # Where BRIDGE_APPS is not set either, there is no ingress that would not start.
        return [Finding(SUBJECT, not settings.apps, told, is_note=not settings.apps)]
    lists = [
        ListId(app_id, nettype) for app_id in settings.im_apps for nettype in NETTYPES[settings.allowed_networks_region]
    ]
    async with rest_session() as session:
        answers = [await _answer(settings, session, list_id) for list_id in lists]
    kept = _kept(settings, lists)
    beside = f"beside what the platform names: {static}"
    return [*answers, kept, *([Finding(SUBJECT, True, beside)] if settings.static_networks else [])]


async def _answer(settings: InspectionSettings, session: ClientSession, list_id: ListId) -> Finding:
    subject = f"platform's networks, app {list_id.app_id}, nettype {list_id.nettype}"
    app = settings.im_apps[list_id.app_id]
    api = RestApi(session, list_id.app_id, lambda: app, timeout_s=CALL_TIMEOUT_S)
    try:
        answer = await ask_for_networks(api, list_id.nettype)
    except CallError as error:
        return Finding(subject, False, f"{error}: {advice(error.error_class)}{_narrower(settings)}")
    except UnusableAnswerError as error:
        return Finding(subject, False, f"{error}{_narrower(settings)}")
    named = plural(len(answer.networks), "network")
    if not answer.problems:
        return Finding(subject, True, named)
    told = "add it to BRIDGE_ALLOWED_NETWORKS if it is right"
    return Finding(subject, False, f"{named}; not accepted: {some(answer.problems)}: {told}")


def _narrower(settings: InspectionSettings) -> str:
    if settings.allowed_networks_region != "any":
        return ""
    return ". With BRIDGE_ALLOWED_NETWORKS_REGION only the list of the region is asked for where your server is"


def _kept(settings: InspectionSettings, lists: list[ListId]) -> Finding:
    """What an ingress that starts now, and gets no answer, would go by."""
    file = NetworksFile(settings.journal_dir)
    subject = f"networks kept in {file.path}"
    try:
        known = KnownNetworks(file.read_if_changed())
    except UnusableFileError as error:
        return Finding(subject, False, f"{error}: it is written anew with the next good answer")
    networks = known.networks(lists)
    if networks is None:
        return Finding(subject, True, f"none: {NOT_YET} to an ingress here. Until it does, any address may post")
    return Finding(subject, True, f"{plural(len(networks), 'network')}, named {duration(known.age_s(lists))} ago")
