"""The permissions of a service's servers."""

from components.container_registry import ecr_account, ecr_region, registry_of, repository_of
from components.policies.buckets import bucket_access_statements
from components.policies.documents import PolicyDocument, ServiceScope, Statement, policy_document
from settings.service_spec import ServerAccess

OBJECT_ACTIONS: dict[ServerAccess, list[str]] = {
    "read": ["s3:GetObject"],
    "read and write": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
}


def server_policy(
    scope: ServiceScope,
    *,
    image: str,
    key_arn: str,
    log_group_arn: str,
    server_access: ServerAccess | None = None,
    bucket_arn: str | None = None,
    secret_arn: str | None = None,
    mail_identity_arn: str | None = None,
    mail_configuration_set: str | None = None,
) -> PolicyDocument:
    """Return what a service's servers can do: use what belongs to the service, and nothing of another service.

    bucket_arn and server_access, secret_arn, mail_identity_arn and mail_configuration_set: None if the service has no
    CDN, no database, or sends no mail.
    """
    statements = [
        _systems_manager_statement(),
        *_own_resources_statements(scope, key_arn, log_group_arn),
        *_image_statements(image),
    ]
    if secret_arn is not None:
        action = "secretsmanager:GetSecretValue"
        statements.append({"Sid": "OwnSecret", "Effect": "Allow", "Action": action, "Resource": secret_arn})
    if bucket_arn is not None and server_access is not None:
        statements += bucket_access_statements(bucket_arn, OBJECT_ACTIONS[server_access])
    if mail_identity_arn is not None and mail_configuration_set is not None:
        statements.append(_mail_statement(scope, mail_identity_arn, mail_configuration_set))
    return policy_document(*statements)


def _systems_manager_statement() -> Statement:
    """Return the statement for shell access without SSH, keys or open ports.

    AWS's own policy for it, AmazonSSMManagedInstanceCore, would also read every service's parameters.
    """
    verbs = ("AcknowledgeMessage", "DeleteMessage", "FailMessage", "GetEndpoint", "GetMessages", "SendReply")
    actions = [
        "ssm:UpdateInstanceInformation",
        *(f"ssmmessages:{verb}{channel}Channel" for verb in ("Create", "Open") for channel in ("Control", "Data")),
        *(f"ec2messages:{verb}" for verb in verbs),
    ]
    return {
        "Sid": "SystemsManager",
        "Effect": "Allow",
        "Action": actions,
        "Resource": "*",  # these actions cannot be limited to a resource
    }


def _own_resources_statements(scope: ServiceScope, key_arn: str, log_group_arn: str) -> list[Statement]:
    """Return the statements for the service's key, log group and parameters."""
    path = f"parameter/{scope.environment}/{scope.service}"
    parameters = f"arn:aws:ssm:{scope.region}:{scope.account_id}:{path}"
    return [
        {"Sid": "OwnKey", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": key_arn},
        {
            "Sid": "OwnLogs",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"{log_group_arn}:*",
        },
        {
            "Sid": "OwnParameters",
            "Effect": "Allow",
            "Action": ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            "Resource": [parameters, f"{parameters}/*"],
        },
    ]


def _image_statements(image: str) -> list[Statement]:
    """Return the statements for pulling the release's image from ECR, which may be in another account and region."""
    registry = registry_of(image)
    region, account = ecr_region(registry), ecr_account(registry)
    if region is None:
        return []
    return [
        {
            "Sid": "RegistryLogin",
            "Effect": "Allow",
            "Action": "ecr:GetAuthorizationToken",
            "Resource": "*",  # this action cannot be limited to a resource
        },
        {
            "Sid": "OwnImage",
            "Effect": "Allow",
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
            "Resource": f"arn:aws:ecr:{region}:{account}:repository/{repository_of(image)}",
        },
    ]


def _mail_statement(scope: ServiceScope, identity_arn: str, configuration_set: str) -> Statement:
    """Return the statement for sending mail as the service's own host."""
    configuration_set_arn = f"arn:aws:ses:{scope.region}:{scope.account_id}:configuration-set/{configuration_set}"
    return {
        "Sid": "SendAsItself",
        "Effect": "Allow",
        "Action": ["ses:SendEmail", "ses:SendRawEmail"],
        "Resource": [identity_arn, configuration_set_arn],
    }
