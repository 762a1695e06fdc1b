"""Topics of communities."""

from __future__ import annotations

from typing import Annotated

from bridge.events import answers, fields
from bridge.events.base import Callback, Data, EventTimePages, Reply, tencent


class TopicCreationRequested(Data, frozen=True):
    """A topic is about to be created in a community."""

    callback = Callback(
        command="Group.CallbackBeforeCreateTopic",
        type="im.group.topic_creation.requested",
        subject=("operator_account",),
        identity=("operator_account", "event_time", "group_id?", "group_type?", "name?"),
        identity_reason="The topic has no id yet; a user asks for one of the same name once in a millisecond. Without"
        " EventTime it may have been asked for again.",
        event_time=EventTimePages.NONE,
        source="1047/49463",
        reply=Reply.ALLOW,
        answers=answers.GROUP_REQUEST,
    )

    group_id: Annotated[str | None, tencent("GroupId", "The community.", optional=True)] = None
    operator_account: fields.OperatorAccount = None
    group_type: fields.GroupType = None
    name: fields.Name = None


class TopicCreated(Data, frozen=True):
    """A topic was created in a community."""

    callback = Callback(
        command="Group.CallbackAfterCreateTopic",
        type="im.group.topic.created",
        subject=("group_id",),
        identity=("group_id", "topic_id", "event_time"),
        identity_reason="An app may choose the id of a topic, and no page says that it cannot be used again after the"
        " topic's end: without EventTime nothing tells the second topic from the first.",
        event_time=EventTimePages.NONE,
        source="1047/49464",
    )

    group_id: fields.GroupId = None
    topic_id: Annotated[str | None, tencent("TopicId", "The topic.")] = None
    operator_account: fields.OperatorAccount = None
    owner_account: fields.OwnerAccount = None
    group_type: fields.GroupType = None
    name: fields.Name = None
    user_defined_data_list: fields.UserDefinedDataList = None


class TopicsDestroyed(Data, frozen=True):
    """Topics of a community were dissolved."""

    callback = Callback(
        command="Group.CallbackAfterTopicDestroyed",
        type="im.group.topics.destroyed",
        subject=("group_id",),
        identity=("group_id", "topic_id_list", "event_time"),
        identity_reason="An app may choose the id of a topic, and no page says that it cannot be used again after the"
        " topic's end: without EventTime nothing tells the second topic from the first.",
        event_time=EventTimePages.NONE,
        source="1047/49465",
    )

    group_id: fields.GroupId = None
    group_type: Annotated[str | None, tencent("Type", "Kind of group.", optional=True)] = None
    operator_account: Annotated[str | None, tencent("Operator_Account", "Who did it.", optional=True)] = None
    topic_id_list: Annotated[list[str] | None, tencent("TopicIdList", "The topics.")] = None


class TopicInfoChanged(Data, frozen=True):
    """The description of a topic changed; only what changed is present."""

    callback = Callback(
        command="Group.CallbackAfterTopicInfoChanged",
        type="im.group.topic_info.changed",
        subject=("group_id",),
        identity=(
            "group_id",
            "event_time",
            "topic_id?",
            "operator_account?",
            "name?",
            "introduction?",
            "notification?",
            "face_url?",
            "user_defined_data_list?",
        ),
        identity_reason="Several administrators may change it in one millisecond: who did it and what it is now tells"
        " these apart. Without EventTime a topic may have been changed to and fro.",
        event_time=EventTimePages.NONE,
        source="1047/49466",
    )

    group_id: fields.GroupId = None
    topic_id: fields.TopicId = None
    group_type: fields.GroupType = None
    operator_account: fields.OperatorAccount = None
    name: fields.ChangedName = None
    introduction: fields.ChangedIntroduction = None
    notification: fields.ChangedNotification = None
    face_url: fields.ChangedFaceUrl = None
    user_defined_data_list: fields.UserDefinedDataList = None
