//! `config`: settings for other programs.

use crate::api::Hub;
use crate::args::ConfigCommand;
use crate::connect::Login;
use crate::exit::{Exit, Failure};
use crate::output;
use base64::Engine as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub(super) fn run(hub: &Hub, command: ConfigCommand) -> Result<Exit, Failure> {
    let ConfigCommand::Grpcurl {
        ca_file,
        client_certificate,
    } = command;
    write(&ca_file, &hub.link.roots_pem, false)?;
    let mut line = format!("grpcurl -cacert {}", ca_file.display());
    if client_certificate {
        let (certificate, key) = client_files(&hub.link.login, &ca_file)?;
        line = format!(
            "{line} -cert {} -key {}",
            certificate.display(),
            key.display()
        );
    } else {
        line.push_str(" -expand-headers -H 'authorization: Bearer ${TOKEN}'");
        output::note(
            "TOKEN is a token of yours, for example: TOKEN=$(kubectl create token NAME --audience segment-hub)",
        );
    }
    let namespace = match hub.namespace() {
        "" => String::new(),
        namespace => format!(r#""namespace":"{namespace}""#),
    };
    output::print(&format!(
        "{line} -d '{{{namespace}}}' {} grnry.segment.v1.SegmentService/ListSegments",
        hub.link.address
    ))?;
    Ok(Exit::Yes)
}

/// The kubeconfig's client certificate and key as files; what stands in it as data is written beside the CA file.
fn client_files(login: &Login, ca_file: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    use kube::config::AuthInfo;
    let AuthInfo {
        client_certificate,
        client_certificate_data,
        client_key,
        ..
    } = &login.config.auth_info;
    let none = || {
        Failure::usage("the kubeconfig's user has no client certificate")
            .help("without --client-certificate a token is used")
    };
    let file = |path: &Option<String>,
                data: Option<String>,
                name: &str,
                secret: bool|
     -> Result<PathBuf, Failure> {
        if let Some(data) = data {
            let pem = base64::engine::general_purpose::STANDARD
                .decode(data.trim())
                .ok()
                .and_then(|pem| String::from_utf8(pem).ok())
                .ok_or_else(|| {
                    Failure::usage("the kubeconfig's client certificate can't be read")
                })?;
            let path = ca_file.with_file_name(name);
            write(&path, &pem, secret)?;
            return Ok(path);
        }
        path.as_ref().map(PathBuf::from).ok_or_else(none)
    };
    // kube hides the key from logs; writing the kubeconfig again is its way to give it out.
    let key_data = serde_json::to_value(&login.config.auth_info)
        .ok()
        .and_then(|mut auth| serde_json::from_value(auth["client-key-data"].take()).ok())
        .flatten();
    Ok((
        file(
            client_certificate,
            client_certificate_data.clone(),
            "hub-client.pem",
            false,
        )?,
        file(client_key, key_data, "hub-client-key.pem", true)?,
    ))
}

fn write(path: &Path, text: &str, secret: bool) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::usage(format!("{} can't be written: {error}", path.display())))
}
