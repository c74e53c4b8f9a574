//! Hands messages to the listeners of this process, renews their leases, and reclaims messages of processes that have
//! died.

mod dispatcher;
mod listener;

pub(crate) use dispatcher::Dispatcher;
pub(crate) use listener::QueueListener;
