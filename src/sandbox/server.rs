//! The same sandbox on a loopback port, in real time or faster, for boto3, the AWS CLI and other programs.
