mod reading;
mod recordings;
mod round_trip;
mod straight;
