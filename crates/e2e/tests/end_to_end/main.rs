//! Black-box tests: real PostgreSQL, the real worker, real clients.

mod configurations; // the configurations people have
mod connector_json; // as they wrote them
mod broker_clients; // other people's clients on the embedded broker
mod pgbench; // a load that is not of our making
mod prerequisites; // what must hold before anything is created
mod preflight; // what a look at the databases finds, and secrets that are kept elsewhere
mod idle; // databases in which nothing happens
mod disk_full; // the embedded broker without space
mod crash; // kill -9 at the worst moment
mod servers; // servers that go and come back
mod dead_letters; // records that a sink cannot take
mod type_matrix; // all types in all modes
mod scripts; // what users type and what their scripts do
mod setup; // two databases, a worker, two connectors
