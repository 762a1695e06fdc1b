"""Official accounts, also called channels: their messages and subscribers."""

from __future__ import annotations

from typing import Annotated

from bridge.events import answers, fields
from bridge.events.base import Callback, Data, Part, Reply, tencent

OfficialAccount = Annotated[str | None, tencent("Official_Account", "The official account.")]


class Subscriber(Part, frozen=True):
    """A user who subscribes to an official account."""

    subscriber_account: Annotated[str | None, tencent("Subscriber_Account", "The subscriber.")] = None


Subscribers = Annotated[list[Subscriber] | None, tencent("SubscribeAccountList", "The subscribers.")]


class CreationRequested(Data, frozen=True):
    """An official account is about to be created."""

    callback = Callback(
        command="OfficialAccount.CallbackBeforeCreateOfficialAccount",
        type="im.official_account.creation.requested",
        subject=("operator_account", "owner_account"),
        identity=("operator_account", "owner_account", "name", "event_time"),
        identity_reason="A user asks for an account of the same name once in a millisecond.",
        source="1047/60795",
        reply=Reply.ALLOW,
        answers=answers.OFFICIAL_ACCOUNT_CREATION,
    )

    operator_account: fields.OperatorAccount = None
    owner_account: fields.OwnerAccount = None
    name: fields.Name = None


class AccountCreated(Data, frozen=True):
    """An official account was created."""

    callback = Callback(
        command="OfficialAccount.CallbackAfterCreateOfficialAccount",
        type="im.official_account.account.created",
        subject=("official_account",),
        identity=("official_account", "event_time"),
        identity_reason="An account is created once in a millisecond, and may be created anew under its old id later.",
        source="1047/60796",
    )

    official_account: OfficialAccount = None
    operator_account: fields.OperatorAccount = None
    owner_account: fields.OwnerAccount = None
    name: fields.Name = None


class InfoChanged(Data, frozen=True):
    """The description of an official account changed; only what changed is present."""

    callback = Callback(
        command="OfficialAccount.CallbackAfterOfficialAccountInfoChanged",
        type="im.official_account.info.changed",
        subject=("official_account",),
        identity=(
            "official_account",
            "event_time",
            "operator_account?",
            "name?",
            "introduction?",
            "face_url?",
            "organization?",
        ),
        identity_reason="It may be changed several times in one millisecond: who did it and what it is now tells"
        " these apart.",
        source="1047/60797",
    )

    official_account: OfficialAccount = None
    operator_account: fields.OperatorAccount = None
    name: fields.ChangedName = None
    introduction: fields.ChangedIntroduction = None
    face_url: fields.ChangedFaceUrl = None
    organization: Annotated[
        str | None, tencent("Organization", "The new organization, if it changed.", optional=True)
    ] = None


class AccountDestroyed(Data, frozen=True):
    """An official account was dissolved."""

    callback = Callback(
        command="OfficialAccount.CallbackAfterOfficialAccountDestroyed",
        type="im.official_account.account.destroyed",
        subject=("official_account",),
        identity=("official_account", "event_time"),
        identity_reason="An account is dissolved once, and may be created anew under its old id and dissolved later.",
        source="1047/60798",
    )

    official_account: OfficialAccount = None
    owner_account: fields.OwnerAccount = None
    name: fields.Name = None


class SubscriptionRequested(Data, frozen=True):
    """Users are about to subscribe to an official account."""

    callback = Callback(
        command="OfficialAccount.CallbackBeforeAddSubscriber",
        type="im.official_account.subscription.requested",
        subject=("official_account",),
        identity=("official_account", "subscribe_account_list.subscriber_account", "event_time", "operator_account?"),
        identity_reason="The same users are about to subscribe once in a millisecond.",
        source="1047/60799",
        reply=Reply.ALLOW,
        answers=answers.SUBSCRIPTION,
        asks_about="subscribe_account_list.subscriber_account",
    )

    official_account: OfficialAccount = None
    operator_account: fields.OperatorAccount = None
    subscribe_account_list: Subscribers = None


class SubscribersAdded(Data, frozen=True):
    """Users subscribed to an official account."""

    callback = Callback(
        command="OfficialAccount.CallbackAfterAddSubscriber",
        type="im.official_account.subscribers.added",
        subject=("official_account",),
        identity=("official_account", "subscribe_account_list.subscriber_account", "event_time"),
        identity_reason="Nobody can subscribe twice in a millisecond without ending it between.",
        source="1047/60800",
    )

    official_account: OfficialAccount = None
    operator_account: fields.OperatorAccount = None
    subscribe_account_list: Subscribers = None


class AccountFilled(Data, frozen=True):
    """An official account has as many subscribers as it can have."""

    callback = Callback(
        command="OfficialAccount.CallbackAfterOfficialAccountFull",
        type="im.official_account.account.filled",
        subject=("official_account",),
        identity=("official_account", "event_time"),
        identity_reason="It says nothing but that; twice in a millisecond is the same.",
        source="1047/60801",
    )

    official_account: OfficialAccount = None


class SubscribersDeleted(Data, frozen=True):
    """Users subscribe to an official account no more."""

    callback = Callback(
        command="OfficialAccount.CallbackAfterDeleteSubscriber",
        type="im.official_account.subscribers.deleted",
        subject=("official_account",),
        identity=("official_account", "subscribe_account_list.subscriber_account", "event_time"),
        identity_reason="Nobody can end it twice in a millisecond without subscribing between.",
        source="1047/60802",
    )

    official_account: OfficialAccount = None
    operator_account: fields.OperatorAccount = None
    subscribe_account_list: Subscribers = None


class MessageSendRequested(Data, frozen=True):
    """An official account is about to send a message."""

    callback = Callback(
        command="OfficialAccount.CallbackBeforeSendMsg",
        type="im.official_account.message_send.requested",
        subject=("official_account",),
        identity=(),
        exact=False,
        identity_reason="It has neither id nor number of the message, and an account may send the same message twice.",
        source="1047/60803",
        reply=Reply.ALLOW,
        answers=answers.OFFICIAL_ACCOUNT_MESSAGE,
    )

    official_account: OfficialAccount = None
    online_only: fields.OnlineOnly = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None


class MessageSent(Data, frozen=True):
    """An official account sent a message."""

    callback = Callback(
        command="OfficialAccount.CallbackAfterSendMsg",
        type="im.official_account.message.sent",
        subject=("official_account",),
        identity=("official_account", "msg_key", "event_time"),
        identity_reason="Whether the number in MsgKey counts online-only messages is not documented, and it has the"
        " second only: so the millisecond counts.",
        source="1047/60804",
    )

    official_account: OfficialAccount = None
    msg_key: Annotated[str | None, tencent("MsgKey", "Id of the message, unique with the account.")] = None
    msg_time: fields.MsgTime = None
    online_only: fields.OnlineOnly = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None


class RecalledMessage(Part, frozen=True):
    """A message that was recalled."""

    msg_key: Annotated[str | None, tencent("MsgKey", "Id of the message, unique with the account.")] = None


class MessagesRecalled(Data, frozen=True):
    """Messages of an official account were recalled."""

    callback = Callback(
        command="OfficialAccount.CallbackAfterMsgWithDraw",
        type="im.official_account.messages.recalled",
        subject=("official_account",),
        identity=("official_account", "withdraw_msg_list.msg_key"),
        identity_reason="A stored message has a MsgKey of its own; should it be told twice that it was recalled, that"
        " says the same.",
        source="1047/60805",
    )

    official_account: OfficialAccount = None
    withdraw_msg_list: Annotated[list[RecalledMessage] | None, tencent("WithdrawMsgList", "The messages.")] = None
