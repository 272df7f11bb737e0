mod mapping;
mod reading;
