from types import FrameType

from scamem.membership.member import Member

class Guard:
    data: bytes
    def __init__(
        self, data: bytes, member: Member, loan: int, loan_id: int, frame: FrameType
    ) -> None: ...
