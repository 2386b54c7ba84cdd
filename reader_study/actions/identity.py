"""Whether somebody is who they are logged in as, asked again before what cannot be taken back."""

from reader_study.domain.errors import PasswordWrong
from reader_study.models import User


def must_know_password(user: User, password: str) -> None:
    """Refuse unless `password` is that of `user`.

    Raises:
        PasswordWrong: it is another one.
    """
    if not user.check_password(password):
        raise PasswordWrong("That is not your password. Nothing was changed.")
