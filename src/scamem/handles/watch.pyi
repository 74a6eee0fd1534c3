from types import FrameType

from scamem.membership.member import Member

class Watch:
    data: bytes
    def __init__(self, data: bytes, member: Member, frame: FrameType) -> None: ...
