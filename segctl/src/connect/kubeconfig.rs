//! The kubeconfig: who the user is, and which namespace the context names.

use super::unreachable;
use crate::args::Globals;
use crate::exit::Failure;
use kube::config::{KubeConfigOptions, Kubeconfig};

/// A login: a context of a kubeconfig.
#[derive(Clone)]
pub(crate) struct Login {
    /// Cluster and user of the context.
    pub(crate) config: kube::Config,
    /// Namespace that the context names; `default` is not made up.
    pub(crate) namespace: Option<String>,
}

impl Login {
    /// The namespace that a command is kept to; `None`: all.
    pub(crate) fn scope(&self, globals: &Globals) -> Option<String> {
        if globals.all_namespaces {
            return None;
        }
        globals.namespace.clone().or_else(|| self.namespace.clone())
    }

    /// Reads the context that the flags name.
    pub(crate) async fn read(globals: &Globals) -> Result<Self, Failure> {
        let file = match &globals.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        }
        .map_err(|error| {
            unreachable(format!("no kubeconfig can be read: {error}"))
                .help("name one with --kubeconfig FILE, or in KUBECONFIG")
        })?;
        let context = globals
            .context
            .clone()
            .or_else(|| file.current_context.clone());
        let named = context
            .as_deref()
            .and_then(|name| file.contexts.iter().find(|context| context.name == name));
        if let (Some(context), None) = (&context, named) {
            let known = file.contexts.iter().map(|context| context.name.as_str());
            let mut failure = unreachable(format!("context {context} is not in the kubeconfig"));
            if let Some(meant) = crate::nearest::nearest(context, known) {
                failure = failure.help(format!("did you mean {meant}?"));
            }
            return Err(failure.help("kubectl config get-contexts lists them"));
        }
        let namespace = named
            .and_then(|context| context.context.as_ref())
            .and_then(|context| context.namespace.clone());
        let options = KubeConfigOptions {
            context: context.clone(),
            ..KubeConfigOptions::default()
        };
        let mut config = kube::Config::from_custom_kubeconfig(file, &options)
            .await
            .map_err(|error| {
                unreachable(format!("the kubeconfig can't be used: {}", causes(&error)))
            })?;
        // kube has no read timeout by default: a stopped API server would hang the call.
        let limit = (!globals.request_timeout.is_zero()).then_some(globals.request_timeout);
        config.connect_timeout = limit.or(config.connect_timeout);
        config.read_timeout = limit;
        Ok(Self { config, namespace })
    }
}

/// An error with its causes, each once.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !words.contains(&next) {
            words = format!("{words}: {next}");
        }
        cause = error.source();
    }
    words
}
