"""Users: whether they are online, and their profiles."""

from __future__ import annotations

from typing import Annotated

from bridge.events.base import Callback, Data, EventTimePages, Part, tencent


class StateInfo(Part, frozen=True):
    """What happened to a user's connection."""

    action: Annotated[str | None, tencent("Action", "`Login`, `Logout` or `Disconnect`.")] = None
    to_account: Annotated[str | None, tencent("To_Account", "The user.")] = None
    reason: Annotated[str | None, tencent("Reason", "`Register`, `Unregister`, `LinkClose` or `TimeOut`.")] = None


class KickedDevice(Part, frozen=True):
    """A device that was logged out by this login."""

    platform: Annotated[str | None, tencent("Platform", "Its platform, as in OptPlatform, or `Linux`.")] = None


class StateChanged(Data, frozen=True):
    """A user came online or went offline. Since 2024 the page also names statuses that an app sets itself, and shows no
    body of them."""

    callback = Callback(
        command="State.StateChange",
        type="im.state.user.changed",
        subject=("info.to_account",),
        identity=(
            "info.to_account",
            "info.action",
            "info.reason",
            "event_time",
            "platform?",
            "kicked_device.platform?",
        ),
        identity_reason="Several devices of a user may come or go in one millisecond: their platforms tell them"
        " apart. `platform` is the URL's OptPlatform.",
        event_time=EventTimePages.SOME,
        source="269/2570, 1047/34357",
    )

    info: Annotated[StateInfo | None, tencent("Info", "What happened, to whom.")] = None
    kicked_device: Annotated[
        list[KickedDevice] | None, tencent("KickedDevice", "The devices that it logged out.", optional=True)
    ] = None


class ProfileField(Part, frozen=True):
    """A field of a profile."""

    tag: Annotated[str | None, tencent("Tag", "Name of the field, e.g. `Tag_Profile_IM_Nick`.")] = None
    value: Annotated[int | str | None, tencent("Value", "Its new value.")] = None


class ProfileFieldsSet(Data, frozen=True):
    """Fields of a user's profile were set."""

    callback = Callback(
        command="Profile.CallbackPortraitSet",
        type="im.profile.fields.set",
        subject=("from_account",),
        identity=("from_account", "profile_item.tag", "event_time", "operator_account?", "profile_item.value?"),
        identity_reason="A field may be set twice in one millisecond: who did it and what it is now tells these apart.",
        source="1047/48733",
    )

    operator_account: Annotated[str | None, tencent("Operator_Account", "Who set them.")] = None
    from_account: Annotated[str | None, tencent("From_Account", "Whose profile it is.")] = None
    profile_item: Annotated[list[ProfileField] | None, tencent("ProfileItem", "The fields.")] = None
