"""The type tokens of our components. They are part of every URN: changing one deletes and recreates what it names.

This module imports nothing, so that the release tools can recognize components without loading Pulumi.
"""

SERVICE_ENVIRONMENT = "hundredx:components:ServiceEnvironment"
SUBDOMAIN_RECORD = "hundredx:components:SubdomainRecord"
ISOLATED_DATABASE = "hundredx:components:IsolatedDatabase"
LOAD_BALANCED_INSTANCE_GROUP = "hundredx:components:LoadBalancedInstanceGroup"
CDN_BUCKET = "hundredx:components:CdnBucket"
MAIL_DOMAIN = "hundredx:components:MailDomain"

FOUNDATION = "hundredx:foundation:Foundation"
NETWORK = "hundredx:foundation:Network"
ZONE = "hundredx:foundation:Zone"
# These two keep the names that the components had when the first environment was created.
SHARED_LOAD_BALANCER = "hundredx:foundation:FrontDoor"
LOGGING = "hundredx:foundation:Records"

IMAGE_REGISTRY = "hundredx:organization:ImageRegistry"
STATE_BUCKET = "hundredx:organization:StateBucket"
