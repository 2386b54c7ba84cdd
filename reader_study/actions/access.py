"""Who may do what at a study's desk: asked by its pages and by the API alike."""

from reader_study.models import Membership, Role, Study, User

LOOK = (Role.COORDINATOR, Role.INVESTIGATOR)
ACT = (Role.COORDINATOR,)


def study_for(user: object, slug: str, *roles: Role) -> Study:
    """Return the study `slug` if `user` has one of `roles` in it, or is administrator.

    Raises:
        Study.DoesNotExist: otherwise; a reader who is also administrator stays a reader here.
    """
    if not isinstance(user, User):
        raise Study.DoesNotExist
    study = Study.objects.select_related("database_lock__by").get(slug=slug)
    role = Membership.objects.filter(study=study, user=user).values_list("role", flat=True).first()
    if role in roles or (role is None and user.is_superuser):
        return study
    raise Study.DoesNotExist


def has_a_desk(user: User) -> bool:
    """Tell whether `user` is more than a reader: an administrator, or another role somewhere."""
    return (
        user.is_superuser or Membership.objects.filter(user=user).exclude(role=Role.READER).exists()
    )
