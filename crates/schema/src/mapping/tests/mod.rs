mod reading;
mod round_trip;
mod straight;
