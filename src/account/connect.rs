//! Where the account is and as whom we speak to it: the SDK clients over one HTTP client, one clock and no retries of their own.

use super::memo::{Memo, Recall};
use super::reply::ReplyJudge;
use super::retry::CallRecord;
use super::tape::Recorder;
use super::{AccountError, Kind};
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    RequestChecksumCalculation, ResponseChecksumValidation, RuntimeComponents, SharedAsyncSleep, SharedCredentialsProvider,
    SharedHttpClient,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// One lost SYN is sent again after 1 s, a second one after 3 s: a connection that takes longer will not come.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_millis(3100);
/// User agents are cut by AWS beyond this.
const APP_NAME_CHARS_MAX: usize = 50;

/// What a target supplies; the account above it is the same for all.
#[derive(Clone, Debug)]
pub struct Connection {
    pub http_client: SharedHttpClient,
    pub sleep: SharedAsyncSleep,
    pub time: SharedTimeSource,
    pub credentials: SharedCredentialsProvider,
    pub region: String,
    /// Regions of the buckets that lie in another one, by the bucket's name.
    pub buckets: BTreeMap<String, String>,
    /// Instead of AWS's own endpoints.
    pub endpoint: Option<String>,
    /// In the user agent, so that CloudTrail can name the run.
    pub app_name: Option<String>,
    /// Of the back-off's jitter.
    pub seed: u64,
    /// What other accounts of this process have read.
    pub memo: Option<Memo>,
}

impl Connection {
    /// AWS, with credentials and region from the usual places. `AWS_ENDPOINT_URL` and retry settings of the environment have no effect.
    pub async fn real(region: Option<&str>, endpoint: Option<&str>) -> Result<Connection, AccountError> {
        let http_client = https_client();
        let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client.clone());
        let loader = match region {
            Some(region) => loader.region(Region::new(region.to_string())),
            None => loader,
        };
        let found = loader.load().await;
        let missing = |what: &str| AccountError {
            kind: Kind::Invalid,
            service: "sts".into(),
            operation: "connect".into(),
            resource: "aws".into(),
            code: String::new(),
            message: format!("no {what} in the configuration, the environment or the AWS profile"),
            request_id: None,
            attempts: 0,
        };
        Ok(Connection {
            http_client,
            sleep: SharedAsyncSleep::new(TokioSleep::new()),
            time: SharedTimeSource::new(SystemTimeSource::new()),
            credentials: found.credentials_provider().ok_or_else(|| missing("credentials"))?,
            region: found.region().ok_or_else(|| missing("region"))?.to_string(),
            buckets: BTreeMap::new(),
            endpoint: endpoint.map(String::from),
            app_name: None,
            seed: fastrand::Rng::new().u64(..),
            memo: None,
        })
    }

    /// A server that speaks AWS's protocols, such as moto or LocalStack; without credentials in the environment it gets made-up ones.
    pub fn endpoint(url: &str, region: &str) -> Connection {
        let in_environment = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let credentials = if in_environment("AWS_ACCESS_KEY_ID") && in_environment("AWS_SECRET_ACCESS_KEY") {
            SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())
        } else {
            SharedCredentialsProvider::new(Credentials::new("bgx", "bgx", None, None, "made up for an endpoint"))
        };
        Connection {
            http_client: https_client(),
            sleep: SharedAsyncSleep::new(TokioSleep::new()),
            time: SharedTimeSource::new(SystemTimeSource::new()),
            credentials,
            region: region.into(),
            buckets: BTreeMap::new(),
            endpoint: Some(url.into()),
            app_name: None,
            seed: fastrand::Rng::new().u64(..),
            memo: None,
        }
    }

    /// The same in another region. The app's buckets stay where they are.
    fn in_region(&self, region: &str) -> Connection {
        Connection { region: region.to_owned(), ..self.clone() }
    }

    /// What the clients have in common. Retries are ours alone; so is the limit of an attempt, which has to span the reading of a body.
    fn config(&self, recall: Option<&Recall>) -> SdkConfig {
        let http_client = self.http_client.clone();
        let http_client = match recall {
            Some(recall) => recall.client(http_client),
            None => http_client,
        };
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http_client)
            .sleep_impl(self.sleep.clone())
            .time_source(self.time.clone())
            .credentials_provider(self.credentials.clone())
            .region(Region::new(self.region.clone()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_LIMIT).build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        config.set_endpoint_url(self.endpoint.clone());
        config.set_app_name(self.app_name.as_deref().and_then(app_name));
        config.build()
    }
}

/// TLS by rustls and ring; plain HTTP where the URL says so.
fn https_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// Any text as a user agent part: other characters become dashes.
fn app_name(text: &str) -> Option<AppName> {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '-' };
    AppName::new(text.chars().take(APP_NAME_CHARS_MAX).map(fit).collect::<String>()).ok()
}

/// One AWS account in one region.
#[derive(Debug)]
pub struct Account {
    pub(super) autoscaling: aws_sdk_autoscaling::Client,
    pub(super) balancing: aws_sdk_elasticloadbalancingv2::Client,
    pub(super) ssm: aws_sdk_ssm::Client,
    s3: aws_sdk_s3::Client,
    /// For the buckets that lie in another region.
    s3_elsewhere: BTreeMap<String, aws_sdk_s3::Client>,
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(super) http_client: SharedHttpClient,
    pub(super) recall: Option<Recall>,
    pub(super) shared: Arc<Shared>,
}

/// What the regions of one account have in common: all calls of a process are one sequence, wherever they go.
#[derive(Debug)]
pub(super) struct Shared {
    /// What plain HTTP requests are made with; known from the first of them on.
    pub(super) components: OnceLock<RuntimeComponents>,
    pub(super) jitter: Mutex<fastrand::Rng>,
    pub(super) calls: Mutex<Vec<CallRecord>>,
    /// All of them, where somebody wants to know.
    pub(super) kept_calls: Mutex<Option<Vec<CallRecord>>>,
    pub(super) recorder: Mutex<Recorder>,
}

impl Account {
    pub fn new(connection: &Connection) -> Account {
        Account::sharing(connection, Arc::new(Shared::new(connection.seed)))
    }

    fn sharing(connection: &Connection, shared: Arc<Shared>) -> Account {
        let recall = connection.memo.clone().map(|memo| Recall::new(memo, &connection.region));
        let config = connection.config(recall.as_ref());
        let autoscaling = aws_sdk_autoscaling::config::Builder::from(&config).interceptor(ReplyJudge).build();
        let balancing = aws_sdk_elasticloadbalancingv2::config::Builder::from(&config).interceptor(ReplyJudge).build();
        let ssm = aws_sdk_ssm::config::Builder::from(&config).interceptor(ReplyJudge).build();
        // Other servers have no bucket in their host name.
        let path_style = connection.endpoint.is_some();
        let s3 = |config: &SdkConfig| {
            let config = aws_sdk_s3::config::Builder::from(config).interceptor(ReplyJudge).force_path_style(path_style).build();
            aws_sdk_s3::Client::from_conf(config)
        };
        let elsewhere = connection.buckets.iter().filter(|(_, region)| **region != connection.region);
        let s3_elsewhere =
            elsewhere.map(|(bucket, region)| (bucket.clone(), s3(&connection.in_region(region).config(recall.as_ref())))).collect();
        let cloudwatch = aws_sdk_cloudwatch::config::Builder::from(&config).interceptor(ReplyJudge).build();
        let sts = aws_sdk_sts::config::Builder::from(&config).interceptor(ReplyJudge).build();
        Account {
            autoscaling: aws_sdk_autoscaling::Client::from_conf(autoscaling),
            balancing: aws_sdk_elasticloadbalancingv2::Client::from_conf(balancing),
            ssm: aws_sdk_ssm::Client::from_conf(ssm),
            s3: s3(&config),
            s3_elsewhere,
            sts: aws_sdk_sts::Client::from_conf(sts),
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch),
            http_client: connection.http_client.clone(),
            recall,
            shared,
        }
    }

    /// The client for a bucket, in the region where that lies.
    pub(super) fn s3(&self, bucket: &str) -> &aws_sdk_s3::Client {
        self.s3_elsewhere.get(bucket).unwrap_or(&self.s3)
    }
}

impl Shared {
    fn new(seed: u64) -> Shared {
        Shared {
            components: OnceLock::new(),
            jitter: Mutex::new(fastrand::Rng::with_seed(seed)),
            calls: Mutex::new(Vec::new()),
            kept_calls: Mutex::new(None),
            recorder: Mutex::new(Recorder::default()),
        }
    }
}

/// The account in all regions that are asked for: the same credentials, so the same account; the clients of each are made once.
#[derive(Debug)]
pub struct Accounts {
    connection: Connection,
    shared: Arc<Shared>,
    by_region: Mutex<BTreeMap<String, Arc<Account>>>,
}

impl Accounts {
    pub fn new(connection: &Connection) -> Accounts {
        Accounts { connection: connection.clone(), shared: Arc::new(Shared::new(connection.seed)), by_region: Mutex::new(BTreeMap::new()) }
    }

    pub fn in_region(&self, region: &str) -> Arc<Account> {
        let mut known = self.by_region.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Account::sharing(&self.connection.in_region(region), self.shared.clone()));
        known.entry(region.to_owned()).or_insert_with(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Canned, connection, reply, success};
    use super::*;
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::{ProvideCredentials, future};

    fn who_am_i() -> super::super::testing::Canned {
        success("GetCallerIdentity", "<Arn>arn:aws:iam::1:user/a</Arn><UserId>u</UserId><Account>1</Account>")
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_signed_sent_to_the_region_and_name_the_run() {
        let (connection, log) = connection(|_, _| who_am_i());
        Account::new(&connection).identity().await.unwrap();
        let sent = log.lock().unwrap()[0].clone();
        assert_eq!(sent.uri, "https://sts.us-east-1.amazonaws.com/");
        assert!(sent.headers.contains("app/bgx-test") && sent.headers.contains("Credential=id/20260101/us-east-1/sts"), "{}", sent.headers);
        assert!(sent.headers.contains("attempt=1; max=1"), "the SDK has no retries of its own: {}", sent.headers);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_takes_buckets_in_the_path() {
        let (connection, log) = connection(|_, _| reply(404, ""));
        let connection = Connection { endpoint: Some("http://127.0.0.1:5000".into()), ..connection };
        assert!(!Account::new(&connection).object_exists("bucket", "key").await.unwrap());
        assert_eq!(log.lock().unwrap()[0].uri, "http://127.0.0.1:5000/bucket/key");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_is_asked_for_where_it_lies_and_where_that_is_wrong_the_error_says_where_it_is() {
        let headers = vec![("x-amz-bucket-region", "eu-west-1")];
        let (connection, log) = connection(move |_, _| Canned::Reply { status: 301, headers: headers.clone(), body: String::new() });
        let buckets = BTreeMap::from([("there".to_owned(), "ap-south-1".to_owned())]);
        let account = Account::new(&Connection { buckets, ..connection });
        let error = account.object_exists("there", "k").await.unwrap_err();
        assert_eq!(error.kind, Kind::Invalid);
        assert_eq!(error.message, "the bucket lies in eu-west-1, and bgx.toml says another region (HTTP status 301)");
        account.object_exists("here", "k").await.unwrap_err();
        let asked: Vec<String> = log.lock().unwrap().iter().map(|sent| sent.uri.clone()).collect();
        assert_eq!(asked, ["https://there.s3.ap-south-1.amazonaws.com/k", "https://here.s3.us-east-1.amazonaws.com/k"]);
    }

    #[tokio::test(start_paused = true)]
    async fn each_region_has_clients_of_its_own_and_all_calls_are_one_record() {
        let (connection, log) = connection(|_, _| who_am_i());
        let accounts = Accounts::new(&connection);
        let (home, abroad) = (accounts.in_region("us-east-1"), accounts.in_region("eu-west-1"));
        assert!(Arc::ptr_eq(&abroad, &accounts.in_region("eu-west-1")));
        abroad.identity().await.unwrap();
        home.identity().await.unwrap();
        let asked: Vec<String> = log.lock().unwrap().iter().map(|sent| sent.uri.clone()).collect();
        assert_eq!(asked, ["https://sts.eu-west-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com/"]);
        assert_eq!(home.take_calls().len(), 2);
    }

    #[derive(Debug)]
    struct Ended;

    impl ProvideCredentials for Ended {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::provider_error("the SSO session has ended")))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_cannot_be_had_are_expired_and_nothing_is_sent() {
        let (connection, log) = connection(|_, _| who_am_i());
        let connection = Connection { credentials: SharedCredentialsProvider::new(Ended), ..connection };
        let error = Account::new(&connection).identity().await.unwrap_err();
        assert_eq!((error.kind, error.attempts, log.lock().unwrap().len()), (Kind::Expired, 1, 0));
        assert!(error.message.contains("the SSO session has ended"), "{}", error.message);
    }

    #[tokio::test]
    async fn aws_is_reached_as_the_caller_says() {
        let connection = Connection::real(Some("eu-central-1"), None).await.unwrap();
        assert_eq!((connection.region.as_str(), connection.endpoint), ("eu-central-1", None));
    }

    #[test]
    fn any_run_id_fits_into_the_user_agent() {
        assert_eq!(app_name("bgx run/7 ü").unwrap().as_ref(), "bgx-run-7--");
        assert_eq!(app_name(&"x".repeat(90)).unwrap().as_ref().len(), APP_NAME_CHARS_MAX);
    }
}
