"""Whether somebody is who they are logged in as, asked again before what cannot be taken back."""

from django.core.cache import cache

from reader_study.domain.errors import PasswordWrong
from reader_study.models import User

# Whoever finds a session open shall not be able to guess on.
ATTEMPTS = 5
WITHIN_S = 300


def must_know_password(user: User, password: str) -> None:
    """Refuse unless `password` is that of `user`.

    Raises:
        PasswordWrong: it is another one, the account has none to be asked for, or there were
            already `ATTEMPTS` wrong ones within `WITHIN_S` seconds.
    """
    if not user.has_usable_password():
        raise PasswordWrong(
            "Your account has no password, since you log in by another site. Set one on the page"
            " of your account first: it is asked for here."
        )
    # `add` is atomic in every cache: pages that ask at the same moment take different places.
    places = [f"password-asked-again:{user.pk}:{place}" for place in range(ATTEMPTS)]
    if not any(cache.add(place, True, WITHIN_S) for place in places):
        raise PasswordWrong(
            f"That was a wrong password {ATTEMPTS} times. Nothing was changed; try again in"
            f" {WITHIN_S // 60} minutes."
        )
    if not user.check_password(password):
        raise PasswordWrong("That is not your password. Nothing was changed.")
    cache.delete_many(places)
