"""Whether somebody is who they are logged in as, asked again before what cannot be taken back."""

from reader_study.domain.errors import PasswordWrong
from reader_study.models import User


def must_know_password(user: User, password: str) -> None:
    """Refuse unless `password` is that of `user`.

    Raises:
        PasswordWrong: it is another one, or the account has none to be asked for.
    """
    if not user.has_usable_password():
        raise PasswordWrong(
            "Your account has no password, since you log in by another site. Set one on the page"
            " of your account first: it is asked for here."
        )
    if not user.check_password(password):
        raise PasswordWrong("That is not your password. Nothing was changed.")
