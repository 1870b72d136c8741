mod deregister;
mod directory;
mod genesis;
mod register;
mod set_active;
