"""About the app itself, and the review of content."""

from __future__ import annotations

from typing import Annotated

from bridge.events import fields
from bridge.events.base import Callback, Data, Part, tencent


class RequestLimitApproached(Data, frozen=True):
    """The app calls an API of the platform almost as often as it may."""

    callback = Callback(
        command="Alert.RequestOverLimit",
        type="im.alert.request_limit.approached",
        subject=(),
        identity=(),
        exact=False,
        identity_reason="It has no time, and the same API may be called too often again.",
        source="269/105418, 1047/60256",
    )

    service_name: Annotated[str | None, tencent("ServiceName", "The platform's service.")] = None
    api_command: Annotated[str | None, tencent("Command", "The API, unique with the service.")] = None
    request_rate: Annotated[int | None, tencent("Request", "Requests a second.")] = None
    rate_limit: Annotated[int | None, tencent("Limit", "How many are allowed.")] = None


class Contact(Part, frozen=True):
    """Whom the content was meant for."""

    contact_type: Annotated[int | None, tencent("ContactType", "1: a user; 2: a group.")] = None
    to_account: Annotated[str | None, tencent("To_Account", "The user.", optional=True)] = None
    group_id: Annotated[str | None, tencent("ToGroupId", "The group.", "GroupId", optional=True)] = None


class ReviewCompleted(Data, frozen=True):
    """The review of content has a result; by default only of content that breaks the rules."""

    callback = Callback(
        command="ContentCallback.ResultNotify",
        type="im.content.review.completed",
        subject=("from_account",),
        identity=("ctxcb_request_id", "content_type?", "file_url?", "ctxcb_result?", "ctxcb_suggestion?"),
        identity_reason="CtxcbRequestId is the review's own; should it cover several contents or come to a second"
        " verdict, these tell them apart.",
        source="269/95616, 1047/78240, 1047/77840",
    )

    scene: Annotated[str | None, tencent("Scene", "Where the content stood, e.g. `C2C` or `GroupInfo`.")] = None
    sdk_app_id: Annotated[int | None, tencent("SdkAppId", "The app.")] = None
    from_account: Annotated[str | None, tencent("From_Account", "Whose content it is.")] = None
    contact_item: Annotated[Contact | None, tencent("ContactItem", "Whom it was meant for.", optional=True)] = None
    content_type: Annotated[str | None, tencent("ContentType", "`Text`, `Image`, `Audio` or `Video`.")] = None
    text_content: Annotated[
        list[str] | None, tencent("TextContent", "The text.", optional=True, has_two_forms=True)
    ] = None
    file_url: Annotated[str | None, tencent("FileURL", "Where the file is.", optional=True)] = None
    msg_key_or_seq: Annotated[
        str | None,
        tencent(
            "MsgID",
            "MsgKey of a one-to-one message, MsgSeq of a group's; absent where the message was blocked.",
            optional=True,
        ),
    ] = None
    ctxcb_result: Annotated[int | None, tencent("CtxcbResult", "0: let pass; 1: blocked.")] = None
    ctxcb_request_id: Annotated[str | None, tencent("CtxcbRequestId", "Id of the review.")] = None
    ctxcb_keywords: Annotated[
        list[str] | None, tencent("CtxcbKeywords", "Words that break the rules.", optional=True)
    ] = None
    ctxcb_suggestion: Annotated[
        str | None, tencent("CtxcbSuggestion", "`Block`, `Review` or `Normal`.", optional=True)
    ] = None
    ctxcb_label: Annotated[str | None, tencent("CtxcbLabel", "Kind of content, e.g. `Ad`.", optional=True)] = None
    ctxcb_sub_label: Annotated[
        str | None, tencent("CtxcbSubLabel", "Kind of content, more exactly.", optional=True)
    ] = None
    ctxcb_sub_label_desc: Annotated[
        str | None, tencent("CtxcbSubLabelDesc", "Text for `ctxcb_sub_label`.", optional=True)
    ] = None
    ctxcb_lib_name: Annotated[
        str | None, tencent("CtxcbLibName", "The app's own word list that it was found in.", optional=True)
    ] = None
    cloud_custom_data: fields.CloudCustomData = None
