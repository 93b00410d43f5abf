"""Everyday tool kinds as plain data; `tool_kinds.py` says how a block is read."""

LIFE = """
# weather
n: get_weather current_weather weather weather_report fetch_weather check_weather
d: Get the current weather in a city. | Weather conditions for a location. | Returns the weather of a place. | Tells what the weather is like. | Get weather for a given city.
p: city/location/place/town=place
np: the weather in {0} | the current weather in {0} | the weather like in {0}
vp: check the weather in {0} | get the weather for {0}
q: Is it raining in {0}? | Do I need an umbrella in {0}? | Is it cold in {0}? | How is the weather in {0}? | Should I wear a coat in {0} today? | Is it sunny in {0} right now? | weather {0} | How's the weather over in {0}? | Is it warm enough for a picnic in {0}? | Will I need sunglasses in {0}? | What's it like outside in {0}? | {0} weather please | Is it snowing in {0}?
r: weather

n: get_forecast weather_forecast forecast get_weather_forecast
d: Weather forecast for the coming days. | Get the forecast for a city. | Predicts the weather of the next days.
p: city/location/place=place days?/num_days?:integer=small
np: the forecast for {0} | the weather forecast for {0} | the {1}-day forecast for {0}
vp: get the forecast for {0} for {1} days | show me the forecast for {0}
q: Will it rain in {0} tomorrow? | What will the weather be in {0} in the next {1} days? | How will the weather be in {0} this week? | Is it going to snow in {0} this weekend? | What's the weather going to be like in {0} tomorrow?
r: weather

n: get_temperature temperature current_temperature
d: Get the temperature of a city. | How warm it is in a place. | Current temperature for a location, in degrees.
p: city/location/place=place unit?/units?=enum:celsius,fahrenheit
np: the temperature in {0} | the temperature of {0} in {1} | the current temperature in {0}
vp: measure the temperature in {0}
q: How hot is it in {0}? | How cold is it in {0}? | How many degrees is it in {0}? | How warm is it in {0} in {1}? | Is it freezing in {0}?
r: deg

n: air_quality get_air_quality pollution
d: Air quality index of a city. | How clean the air is. | Get the air pollution level of a place.
p: city/location=place
np: the air quality in {0} | the air pollution in {0}
vp: check the air quality in {0}
q: How clean is the air in {0}? | Is the air bad in {0}? | Can I go running in {0} or is the air too dirty? | How polluted is {0}?
r: num

n: sunrise get_sunrise sun_times sunset_time
d: Time of sunrise in a place. | When the sun rises. | Get sunrise and sunset for a city.
p: city/place/location=place date?=date
np: the time of sunrise in {0} | the sunrise in {0} on {1}
vp: look up the sunrise in {0}
q: When does the sun rise in {0}? | At what time does the sun come up in {0} on {1}? | When is sunrise in {0}? | When does it get light in {0}?
r: time

n: tide_times get_tides tides
d: High and low tide of a port. | Times of the tides.
p: port/harbour/location=place
np: the tide times for {0} | the tides in {0}
vp: look up the tides for {0}
q: When is high tide in {0}? | When is the water low in {0}?
r: time

# maths
n: add sum add_numbers plus
d: Add two numbers. | Returns the sum of a and b. | Adds a and b together.
p: a/x/first/left:integer=num b/y/second/right:integer=num
np: the sum of {0} and {1} | {0} plus {1} | {0} + {1}
vp: add {0} and {1} | add {1} to {0} | sum {0} and {1} | add up {0} and {1}
q: How much is {0} plus {1}? | {0} + {1} | What do {0} and {1} make together? | Calculate {0}+{1} | What do I get when I add {0} and {1}? | compute {0} + {1}
r: num

n: subtract minus difference
d: Subtract one number from another. | The difference of a and b. | Subtracts b from a.
p: a/x/first:integer=num b/y/second:integer=num
np: the difference of {0} and {1} | {0} minus {1} | {0} - {1}
vp: subtract {1} from {0} | take {1} away from {0} | take {1} from {0}
q: How much is {0} minus {1}? | {0} - {1} | What is left when I take {1} from {0}?
r: num

n: multiply times product multiply_numbers mul
d: Multiply two numbers. | Returns the product of a and b. | Multiplies a by b.
p: a/x/first:integer=num b/y/second:integer=num
np: the product of {0} and {1} | {0} times {1} | {0} * {1} | {0} x {1}
vp: multiply {0} by {1} | multiply {0} and {1}
q: How much is {0} times {1}? | {0} * {1} | What do {0} boxes with {1} pens each make? | Compute {0} times {1} | What do I get if I multiply {0} with {1}?
r: num

n: divide quotient division
d: Divide two numbers. | Divides a by b. | Returns the quotient.
p: a/x/numerator/dividend:number=num b/y/denominator/divisor:number=num
np: {0} divided by {1} | the quotient of {0} and {1} | {0} / {1}
vp: divide {0} by {1} | split {0} into {1} equal parts
q: How often does {1} go into {0}? | {0} / {1} | How much is {0} divided by {1}? | {0} over {1}?
r: num

n: power pow exponent raise_to_power
d: Raise a number to a power. | Computes base to the exponent.
p: base/x:number=small exponent/power/n:integer=small
np: {0} to the power of {1} | {0} ^ {1} | {0} raised to {1}
vp: raise {0} to the power of {1}
q: How much is {0} to the power {1}? | {0}^{1}
r: num

n: sqrt square_root root
d: Square root of a number. | Computes the root.
p: x/number/n/value:number=num
np: the square root of {0} | the root of {0}
vp: take the square root of {0} | compute the square root of {0}
q: Which number squared gives {0}? | sqrt of {0}? | sqrt({0})
r: num

n: square double triple cube magic_function secret_function apply_function halve
d: Applies a function to a number. | Applies a magic function to an input. | Does something with a number.
p: input/x/n/number:integer=num
np: the value of {N}({0}) | {N}({0}) | {N} of {0}
vp: apply {N} to {0} | run {N} on {0} | call {N} with {0} | use {N} on {0}
q: What does {N} give for {0}? | {N}({0})? | What comes out of {N} for {0}? | what is the value of {N}({0})? | What is {N}({0})?
r: num

n: factorial compute_factorial
d: Factorial of a number. | Computes n!.
p: n/number/x:integer=small
np: the factorial of {0} | {0} factorial | {0}!
vp: compute the factorial of {0}
q: How much is {0}!?
r: num

n: is_prime check_prime prime_check
d: Check whether a number is prime. | Tells if n is a prime number.
p: n/number/value:integer=num
vp: check if {0} is prime | test {0} for being prime
q: Is {0} a prime number? | Is {0} prime? | Can {0} be divided by anything but 1 and itself?
r: bool

n: gcd greatest_common_divisor
d: Greatest common divisor of two integers. | Largest number that divides both.
p: a/x:integer=num b/y:integer=num
np: the greatest common divisor of {0} and {1} | the gcd of {0} and {1}
vp: find the greatest common divisor of {0} and {1}
q: Which is the largest number that divides {0} and {1}?
r: num

n: percentage percent calculate_percentage
d: Percentage of a number. | Computes percent of a total.
p: percent/rate:number=small total/value/number:number=num
np: {0} percent of {1} | {0}% of {1}
vp: calculate {0} percent of {1}
q: How much is {0}% of {1}? | How much do I save with {0} percent off {1}?
r: num

n: random_number get_random random_int
d: Random number in a range. | Picks a number between low and high.
p: low/min/start:integer=small high/max/end:integer=num
np: a random number between {0} and {1} | a random number from {0} to {1}
vp: pick a number between {0} and {1} | draw a random number from {0} to {1}
q: Choose any number from {0} to {1}.
r: num

n: calculator calculate evaluate compute
d: Evaluate a mathematical expression. | A calculator. | Useful for doing maths. | Does arithmetic on an expression.
p: expression/expr/formula/input=expr
np: {0}
vp: calculate {0} | evaluate {0} | compute {0} | work out {0}
q: {0} = ? | How much is {0}? | What does {0} come to? | Solve {0}
r: num

n: circle_area area_of_circle
d: Area of a circle. | Computes the area from the radius.
p: radius/r:number=num
np: the area of a circle with radius {0} | the area of a circle of radius {0}
vp: compute the area of a circle with radius {0}
q: How big is a circle with a radius of {0}?
r: num

n: rectangle_area area
d: Area of a rectangle. | Computes width times height.
p: width/w:number=num height/h/length:number=num
np: the area of a rectangle of {0} by {1} | the area of a {0} by {1} rectangle
vp: compute the area of a room that is {0} wide and {1} long
q: How large is a field of {0} by {1} metres?
r: num

n: count_letters letter_count count_characters
d: Count how often a letter is in a word. | Number of times a letter occurs.
p: letter/char=letter word/text=word
vp: count the letter {0} in {1} | count the {0}s in {1}
q: How many {0}s are in {1}? | How often does the letter {0} occur in {1}?
r: num

n: word_count count_words
d: Count the words of a text. | Number of words.
p: text/sentence/input=clause
np: the number of words in: {0} | the word count of "{0}"
vp: count the words in "{0}"
q: How many words are in "{0}"? | How many words does this have: {0}
r: num

n: reverse_string reverse reverse_text
d: Reverse a text. | Writes a string backwards.
p: text/s/word/input=word
np: {0} backwards
vp: reverse {0} | write {0} backwards | spell {0} backwards | reverse the word {0}
q: How does {0} read from the end?
r: word

# money
n: convert_currency currency_converter exchange convert_money
d: Convert an amount from one currency to another. | Exchange money. | Currency conversion.
p: amount/value:number=num from_currency/source/base=cur to_currency/target=cur
np: {0} {1} in {2}
vp: convert {0} {1} to {2} | change {0} {1} into {2} | exchange {0} {1} for {2} | swap {0} {1} to {2}
q: How much is {0} {1} in {2}? | How many {2} do I get for {0} {1}? | I have {0} {1}. What is that in {2}?
r: num

n: exchange_rate get_exchange_rate get_rate
d: Exchange rate between two currencies. | Current rate of a currency pair.
p: base/from_currency/source=cur target/to_currency/quote=cur
np: the exchange rate from {0} to {1} | the rate between {0} and {1} | the {0} to {1} exchange rate
vp: look up the rate of {0} to {1}
q: What does one {0} cost in {1}? | How is {0} trading against {1}?
r: num

n: get_stock_price stock_price share_price quote get_quote
d: Current price of a stock. | Get the stock price for a ticker symbol. | What a share costs now.
p: symbol/ticker/stock=ticker
np: the stock price of {0} | the price of {0} stock | the share price of {0} | the current price of {0} shares
vp: look up the stock price of {0} | check the {0} share price
q: How much is a share of {0}? | How is {0} doing on the stock market? | What is {0} trading at? | What does {0} stock cost? | How much would one {0} share cost me?
r: price

n: crypto_price get_crypto_price coin_price
d: Price of a cryptocurrency. | Get the current value of a coin.
p: coin/symbol/currency=coin
np: the price of {0} | the value of one {0} | the {0} price
vp: check the price of {0}
q: What is one {0} worth? | How much is a {0}? | How much does {0} cost right now? | Is {0} up today?
r: price

n: get_balance account_balance check_balance
d: Balance of a bank account. | How much money is in an account. | Get the account balance.
p: account/account_id/account_number=acct
np: the balance of account {0} | the balance of {0} | the account balance of {0}
vp: check the balance of account {0}
q: How much money is in account {0}? | How much is left on account {0}? | Is there any money on {0}?
r: price

n: transfer_money send_money transfer pay
d: Transfer money to somebody. | Send an amount to a person. | Make a payment.
p: recipient/to/payee/person=first amount/sum:number=num
vp: send {1} euros to {0} | transfer {1} dollars to {0} | pay {0} {1} dollars | send {0} {1} pounds | wire {1} to {0}
q: I owe {0} {1} euros, please pay. | {0} should get {1} dollars from me. | Give {0} {1} euros from my account.
r: done

n: calculate_tip tip tip_calculator
d: Compute the tip for a bill. | How much to tip.
p: bill/amount/total:number=dec percent?/rate?:integer=small
np: the tip for a bill of {0} | the tip on {0} at {1} percent | a {1}% tip on {0}
vp: calculate the tip for {0} | work out a {1} percent tip on {0}
q: How much should I tip on {0}? | The bill is {0}. How much tip do I leave? | What tip do I give on a bill of {0}?
r: num

n: loan_payment mortgage monthly_payment
d: Monthly payment of a loan. | Compute the rate of a mortgage.
p: amount/principal:number=num rate/interest:number=small years/term:integer=small
np: the monthly payment for a loan of {0} at {1} percent over {2} years
vp: compute the payment of a {0} loan at {1}% for {2} years
q: I borrow {0} at {1} percent for {2} years. What do I pay every month?
r: price

n: sales_tax compute_tax calculate_tax vat
d: Tax on an amount. | Compute the tax for a price.
p: amount/price:number=num country?/region?/state?=country
np: the tax on {0} | the tax on {0} in {1}
vp: calculate the tax on {0} | work out the tax for {0} in {1}
q: How much tax do I pay on {0}? | How much tax is due on {0} in {1}?
r: price

n: add_expense log_expense record_expense
d: Record an expense. | Note money that was spent.
p: amount/cost:number=dec category/what/description=item
vp: record {0} for {1} | add an expense of {0} for {1} | note that I spent {0} on {1}
q: I spent {0} on {1}. Please note it. | I paid {0} for {1}, write it down.
r: done

# shopping
n: search_products find_product product_search search_items
d: Search the shop for products. | Find articles in the catalogue. | Search products by name.
p: query/keyword/product/name=item max_price?/limit?:number=num
np: products for {0}
vp: find {0} | search the shop for {0} | find {0} under {1} dollars | look for {0} for less than {1}
q: Do you sell {0}? | Show me {0} for at most {1}. | I want to buy {0}. What do you have? | Which {0} are in the shop?
r: list

n: get_price product_price price_check lookup_price
d: Price of a product. | How much an article costs. | Get the price of an item.
p: item/product/name/article=item
np: the price of {0} | the price of the {0}
vp: check the price of {0}
q: How much does the {0} cost? | How much is the {0}? | What does {0} cost? | How expensive is the {0}? | What do you charge for {0}? | How much do I have to pay for the {0}?
r: price

n: check_stock in_stock inventory stock_check get_inventory
d: Check whether a product is in stock. | How many pieces are left. | Stock level of an item.
p: item/product/product_id/sku=item
np: the stock of {0} | the number of {0} in stock
vp: check the stock of {0} | check if {0} is in stock
q: Is the {0} in stock? | Do you have {0} left? | How many {0} do we have? | Are there still {0} available? | Have we run out of {0}? | Is {0} sold out?
r: num

n: order_status get_order_status track_order check_order
d: Status of an order. | Where an order is. | Look up the state of an order.
p: order_id/order/id/order_number=code
np: the status of order {0} | the state of order {0} | the status of my order {0}
vp: check order {0} | track order {0} | look up order {0}
q: Where is my order {0}? | Has order {0} been shipped? | When will order {0} arrive? | Has my order {0} left yet? | What is happening with order {0}? | I ordered something, the number is {0}. Where is it?
r: status

n: cancel_order cancel
d: Cancel an order. | Stop an order before it is shipped.
p: order_id/order/id=code reason?=reason
vp: cancel order {0} | cancel my order {0} because {1} | stop order {0}
q: I don't want order {0} any more. | Order {0} was a mistake, please cancel it. | I changed my mind about order {0}, cancel it.
r: done

n: refund return_order refund_payment issue_refund
d: Refund a payment. | Give the money back. | Refund an order.
p: order_id/payment_id/order/id=code amount?:number=num
vp: refund order {0} | give the customer of order {0} the money back | refund {1} for order {0}
q: I want my money back for order {0}. | Order {0} came broken, please refund it. | Can I get a refund for {0}?
r: done

n: add_to_cart cart_add add_item
d: Put a product into the shopping cart. | Add an item to the basket.
p: item/product/name=item quantity?/count?/amount?:integer=small
vp: put {0} into my cart | add {0} to my basket | add {1} {0} to the cart | put {1} {0} into the shopping cart
q: I'll take {1} {0}. | I want {1} {0} in my basket. | {1} {0} please, in the cart.
r: done

n: apply_coupon use_coupon redeem_code
d: Apply a discount code. | Redeem a coupon.
p: code/coupon=code
vp: apply the coupon {0} | use the discount code {0} | redeem {0}
q: I have a coupon, it says {0}. | My voucher code is {0}.
r: done

n: track_package track_parcel package_status track_shipment
d: Track a package. | Where a parcel is. | Get the delivery status of a shipment.
p: tracking_number/package_id/number/id=code
np: the location of package {0} | the delivery status of {0}
vp: track package {0} | track the parcel {0} | follow the shipment {0}
q: Where is my package {0}? | When does parcel {0} arrive? | Has the package {0} been delivered? | Is {0} on its way? | My tracking number is {0}, where is my stuff?
r: status

n: get_reviews product_reviews reviews
d: Customer reviews of a product. | What customers think of an article.
p: product/item=item
np: the reviews of {0} | the customer reviews for {0}
vp: show me the reviews of {0}
q: What do people say about {0}? | Is the {0} any good? | What do customers think of the {0}?
r: sentence

n: compare_prices price_comparison
d: Compare the prices of two products. | Which of two articles is cheaper.
p: first/a/product_a=item second/b/product_b=item
vp: compare the prices of {0} and {1} | compare {0} with {1}
q: Which is cheaper, {0} or {1}? | Is {0} cheaper than {1}?
r: sentence

# travel
n: search_flights find_flights flights flight_search
d: Search flights between two cities. | Find a flight. | List flights from an airport to another.
p: origin/from_city/departure/source=place destination/to_city/arrival/dest=place date?/day?=day
np: flights from {0} to {1} | the flights from {0} to {1} on {2}
vp: find a flight from {0} to {1} | find flights from {0} to {1} on {2} | look for a plane from {0} to {1}
q: Is there a flight from {0} to {1}? | I want to fly from {0} to {1} on {2}. | How can I fly to {1} from {0}? | Which planes go from {0} to {1} {2}? | I need to get from {0} to {1} by plane.
r: list

n: book_flight reserve_flight
d: Book a flight. | Reserve a seat on a flight.
p: flight/flight_number/flight_id=flight passenger?/name?=person
vp: book flight {0} | book flight {0} for {1} | reserve a seat on {0} for {1}
q: I'll take flight {0}. | {1} wants to fly with {0}, book it.
r: done

n: flight_status get_flight_status
d: Status of a flight. | Whether a flight is on time.
p: flight/flight_number/number=flight
np: the status of flight {0}
vp: check flight {0}
q: Is flight {0} on time? | Is {0} delayed? | When does {0} land? | Has flight {0} landed? | From which gate does {0} leave?
r: status

n: find_hotel search_hotels hotels hotel_search
d: Find hotels in a city. | Search for a place to stay. | Hotels with free rooms.
p: city/location/place=place nights?:integer=small
np: hotels in {0} | a hotel in {0} | a hotel in {0} for {1} nights
vp: find a hotel in {0} | look for a room in {0} for {1} nights
q: Where can I sleep in {0}? | Where can I stay in {0}? | I need a room in {0} for {1} nights. | I need somewhere to stay in {0}.
r: list

n: book_hotel reserve_room book_room
d: Book a hotel room. | Reserve a room in a hotel.
p: hotel/hotel_name=hotel nights?:integer=small guests?:integer=small
vp: book the {0} | book a room at the {0} for {1} nights | reserve the {0} for {2} guests
q: I want to stay at the {0} for {1} nights. | We take the {0}, we are {2} people.
r: done

n: get_directions directions route navigate
d: Directions from one place to another. | Find the route. | How to get somewhere.
p: origin/start/from_place=place destination/end/to_place=place mode?=enum:walking,driving,cycling,transit
np: the way from {0} to {1} | the route from {0} to {1} | directions from {0} to {1} | the {2} directions from {0} to {1}
vp: find the way from {0} to {1} | show me the route from {0} to {1}
q: How do I get from {0} to {1}? | How do I drive from {0} to {1}? | I am in {0} and want to go to {1}. | I'm lost in {0}, how do I reach {1}?
r: sentence

n: get_distance distance distance_between
d: Distance between two places. | How far two cities are apart. | Compute the distance in kilometres.
p: origin/start/city_a/from_city=place destination/end/city_b/to_city=place
np: the distance between {0} and {1} | the distance from {0} to {1}
vp: measure the distance between {0} and {1}
q: How far is it from {0} to {1}? | How far is {1} from {0}? | How many kilometres are there between {0} and {1}? | How many miles is it from {0} to {1}?
r: dist

n: travel_time get_travel_time eta trip_duration
d: Travel time between two places. | How long a trip takes.
p: origin/start=place destination/end=place
np: the travel time from {0} to {1} | the duration of the trip from {0} to {1}
vp: estimate the travel time from {0} to {1}
q: How long does it take from {0} to {1}? | How long is the drive from {0} to {1}? | How many hours do I need from {0} to {1}?
r: dur

n: train_schedule find_trains trains get_trains next_train
d: Trains between two stations. | Timetable of trains. | Find the next train.
p: origin/from_station/start=place destination/to_station/end=place
np: the next train from {0} to {1} | the trains from {0} to {1}
vp: find a train from {0} to {1} | look up the trains from {0} to {1}
q: When does the train from {0} to {1} leave? | Is there a train from {0} to {1}? | When is the next train to {1} from {0}? | Can I go from {0} to {1} by rail?
r: time

n: bus_times next_bus bus_schedule get_bus
d: Next bus at a stop. | Departure times of a bus line.
p: stop/station=place line?/route?:integer=small
np: the next bus at {0} | the next bus {1} at {0} | the departures at {0}
vp: look up the buses at {0}
q: When does the bus leave at {0}? | When does line {1} come to {0}? | When is the next bus from {0}?
r: time

n: call_taxi book_taxi order_ride get_ride
d: Order a taxi. | Send a car to a place. | Book a ride.
p: pickup/from_place/location=street destination?/to_place?=place
vp: call a taxi to {0} | order a cab from {0} to {1} | send a taxi to {0}
q: I need a taxi at {0}. | I need a ride from {0} to {1}. | Can someone drive me from {0} to {1}?
r: done

n: rent_car car_rental find_rental_car
d: Rent a car. | Find a rental car in a city.
p: city/place=place days:integer=small
vp: rent a car in {0} for {1} days | get me a car for {1} days in {0}
q: I need a car in {0} for {1} days. | What does a car cost in {0} for {1} days?
r: price

n: visa_requirements check_visa visa
d: Visa rules of a country. | Whether a traveller needs a visa.
p: country/destination=country nationality?/citizen_of?=nation
np: the visa rules for {0} | the visa requirements of {0} for {1} citizens
vp: check the visa rules of {0}
q: Do I need a visa for {0}? | Can I travel to {0} without a visa? | I am {1}. Do I need a visa for {0}? | Which papers do I need to enter {0}?
r: sentence

n: find_attractions sights things_to_do tourist_attractions
d: Sights of a city. | What to see and do in a place. | Tourist attractions.
p: city/place/location=place
np: the sights of {0} | the best attractions in {0}
vp: find sights in {0} | suggest things to do in {0}
q: What can I see in {0}? | What should I visit in {0}? | What is there to do in {0}? | I'm in {0} for a day. What is worth a visit?
r: list

n: get_timezone timezone
d: Time zone of a place. | In which time zone a city lies.
p: city/place=place
np: the time zone of {0}
vp: look up the time zone of {0}
q: In which time zone is {0}? | Which time zone does {0} use?
r: word

# time
n: get_time current_time get_current_time time_in clock
d: Current time in a city. | Get the time of a place. | Tells what time it is somewhere.
p: city/location/timezone/place=place
np: the time in {0} | the current time in {0} | the local time in {0}
vp: tell the time in {0}
q: What time is it in {0}? | How late is it in {0}? | What time is it right now in {0}? | Is it night in {0}? | Can I still call {0} or is it too late there?
r: time

n: now get_current_time current_datetime get_datetime
d: Current date and time. | Returns the time now. | Tells the current time.
p:
np: the time | the current time | the time now | the current date and time
vp: tell me the time
q: What time is it? | How late is it? | What time do we have? | Is it late already?
r: time

n: today get_date current_date get_today
d: Today's date. | Returns the current date. | Which day it is.
p:
np: today's date | the date | the date today | the current date
vp: tell me the date
q: What day is it? | Which day is today? | What is the date? | What date do we have today?
r: date

n: day_of_week weekday get_weekday
d: Day of the week of a date. | On which weekday a date falls.
p: date/day=date
np: the weekday of {0} | the day of the week for {0}
vp: find the weekday of {0}
q: Which weekday is {0}? | On which day does {0} fall? | What day of the week is {0}? | Is {0} a Sunday?
r: day

n: days_between date_difference date_diff
d: Number of days between two dates. | How many days lie between dates.
p: start/start_date/from_date/date1=date end/end_date/to_date/date2=date
np: the number of days between {0} and {1} | the days from {0} to {1}
vp: count the days between {0} and {1}
q: How many days are there between {0} and {1}? | How long is it from {0} to {1}?
r: num

n: countdown days_until days_left
d: Days until a date. | How long it is until a day.
p: date/day/target=date
np: the number of days until {0} | the days left until {0}
vp: count the days until {0}
q: How many days until {0}? | How long do I have to wait until {0}? | How many sleeps till {0}?
r: num

n: convert_timezone timezone_convert convert_time
d: Convert a time between two places. | Translate a time from one city's zone to another's.
p: time=time from_city/source/from_zone=place to_city/target/to_zone=place
np: {0} {1} time in {2}
vp: convert {0} from {1} time to {2} time
q: When it is {0} in {1}, what time is it in {2}? | If it is {0} in {1}, how late is it in {2}?
r: time

n: set_alarm alarm create_alarm wake_up
d: Set an alarm. | Wake the user at a time.
p: time/at/hour=time label?=todo
vp: set an alarm for {0} | set the alarm to {0} | wake me up at {0} | set an alarm at {0} to {1}
q: I have to get up at {0}. | I need to be awake at {0}. | Let the alarm ring at {0}.
r: done

n: start_timer set_timer timer
d: Start a timer. | Count down a number of minutes.
p: minutes/duration:integer=small label?/name?=food
vp: set a timer for {0} minutes | start a timer of {0} minutes for the {1} | start a {0} minute timer
q: Tell me when {0} minutes are over. | The {1} needs {0} minutes, start a timer. | Count {0} minutes.
r: done

n: set_reminder create_reminder remind_me reminder remind add_reminder
d: Set a reminder. | Remind the user to do something. | Create a reminder for a task at a time.
p: text/task/what/title/message=todo time?/when?/at?=when
vp: remind me to {0} | remind me to {0} at {1} | set a reminder to {0} at {1}
q: I must not forget to {0}. | Don't let me forget to {0}. | At {1} I have to {0}, remind me. | I have to {0} at {1}, please remind me.
r: done

# home
n: turn_on_light light_on lights_on switch_on_light
d: Turn on the light in a room. | Switch a lamp on.
p: room/location/place=room
vp: turn on the light in the {0} | switch on the {0} light | turn the {0} lights on | light up the {0}
q: It's dark in the {0}. | I can't see anything in the {0}. | Lights on in the {0}!
r: done

n: turn_off_light light_off lights_off switch_off_light
d: Turn off the light in a room. | Switch a lamp off.
p: room/location/place=room
vp: turn off the light in the {0} | switch off the {0} light | turn the {0} lights off
q: Make it dark in the {0}. | Nobody is in the {0}, lights out. | Lights off in the {0}!
r: done

n: control_light set_light switch_light toggle_light
d: Switch a light on or off. | Control the light of a room.
p: room/lamp/location=room on/state/is_on:boolean=bool
vp: turn {1:on/off} the light in the {0} | switch the {0} light {1:on/off} | turn the {0} lamp {1:on/off}
q: The light in the {0} should be {1:on/off}. | Lights {1:on/off} in the {0}!
r: done

n: dim_light set_brightness brightness
d: Set the brightness of a lamp. | Dim the light.
p: room/lamp=room level/percent/brightness:integer=pct
vp: set the {0} light to {1} percent | dim the {0} light to {1}% | set the brightness in the {0} to {1}
q: The {0} should be at {1} percent brightness. | Make the {0} light {1} percent bright.
r: done

n: set_thermostat set_temperature thermostat heating
d: Set the temperature of a room. | Change the thermostat. | Set the heating.
p: room/zone=room temperature/degrees/value:number=warm
vp: set the {0} to {1} degrees | heat the {0} to {1} degrees | set the thermostat in the {0} to {1}
q: I want {1} degrees in the {0}. | It's too cold in the {0}, make it {1} degrees. | The {0} should be {1} degrees warm.
r: done

n: room_temperature indoor_temperature get_room_temperature read_thermometer
d: Temperature of a room. | How warm a room is now. | Reads the thermometer of a room.
p: room=room
np: the temperature in the {0} | the temperature of the {0}
vp: read the thermometer in the {0}
q: How warm is the {0}? | How warm is it in the {0}? | Is the {0} too cold? | How many degrees are there in the {0}?
r: deg

n: lock_door lock close_lock
d: Lock a door. | Close the lock of a door.
p: door/name/location=door
vp: lock the {0} | lock the {0} please
q: Nobody should come in through the {0}. | Did I forget to lock the {0}? Do it now. | I left, lock the {0}.
r: done

n: unlock_door unlock open_door
d: Unlock a door. | Open the lock of a door.
p: door/name/location=door
vp: unlock the {0} | open the {0}
q: Let the guests in through the {0}. | I forgot my key for the {0}, open it.
r: done

n: play_music play_song play
d: Play a song. | Start music. | Play a track or an artist.
p: song/title/track/query=title artist?=person
vp: play {0} | put on {0} | play {0} by {1} | start the song {0}
q: I want to hear {0}. | I want to listen to {0} by {1}. | I'm in the mood for {0}.
r: done

n: pause_music stop_music pause stop_playback
d: Pause the music. | Stop what is playing.
p:
vp: pause the music | stop the music | stop playing | pause the song
q: Silence please! | The music should stop. | No more music.
r: done

n: set_volume volume change_volume
d: Set the volume. | Change how loud the speaker is.
p: level/volume/percent:integer=pct device?/speaker?=device
vp: set the volume to {0} | set the volume of the {1} to {0} | turn the volume to {0} percent
q: Make it {0} percent loud. | The {1} should play at volume {0}.
r: done

n: start_vacuum vacuum clean_room robot_vacuum
d: Let the vacuum robot clean a room. | Start cleaning a room.
p: room=room
vp: clean the {0} | vacuum the {0} | let the robot clean the {0}
q: The {0} is dirty. | There are crumbs in the {0}.
r: done

n: open_blinds blinds_up raise_blinds
d: Open the blinds of a room. | Raise the shutters.
p: room/window=room
vp: open the blinds in the {0} | raise the shutters in the {0}
q: Let the sun into the {0}. | I want daylight in the {0}.
r: done

n: close_blinds blinds_down lower_blinds
d: Close the blinds of a room. | Lower the shutters.
p: room/window=room
vp: close the blinds in the {0} | lower the shutters in the {0}
q: The sun is too bright in the {0}, shut the blinds. | Nobody should look into the {0}.
r: done

n: switch_device toggle_device control_device device_power
d: Switch a device on or off. | Turn an appliance on or off.
p: device/appliance/name=device state/action=enum:on,off
vp: switch {1} the {0} | turn the {0} {1} | turn {1} the {0}
q: The {0} should be {1}.
r: done

n: water_garden start_sprinkler irrigate
d: Water the garden. | Start the sprinkler for some minutes.
p: minutes/duration:integer=small
vp: water the garden for {0} minutes | run the sprinkler for {0} minutes
q: The lawn is dry, {0} minutes of water please.
r: done

# food
n: get_recipe find_recipe recipe recipe_search
d: Recipe for a dish. | How to cook a meal. | Find a recipe.
p: dish/meal/name/query=dish
np: the recipe for {0} | a recipe for {0}
vp: find a recipe for {0} | look up how to make {0}
q: How do I make {0}? | How do you cook {0}? | I want to cook {0} tonight. | What do I need to make {0}? | How is {0} prepared?
r: sentence

n: find_restaurant search_restaurants restaurants restaurant_search
d: Find restaurants in a city. | Where to eat. | Search a restaurant by cuisine.
p: city/location/place=place cuisine?/food?=cuisine
np: restaurants in {0} | {1} restaurants in {0} | a good {1} restaurant in {0}
vp: find a restaurant in {0} | find a {1} restaurant in {0}
q: Where can I eat in {0}? | Where can I get {1} food in {0}? | I'm hungry and I am in {0}. | I would like to eat {1} in {0}.
r: list

n: book_table reserve_table restaurant_booking make_reservation
d: Book a table in a restaurant. | Make a reservation for a number of people.
p: restaurant/name=restaurant people/guests/party_size:integer=small time?/when?=time
vp: book a table at {0} for {1} people | reserve a table for {1} at {0} | book a table for {1} at {0} at {2}
q: We are {1} people and want to eat at {0}. | I need a table for {1} at {0} at {2}.
r: done

n: get_calories calories nutrition nutrition_facts
d: Calories of a food. | Nutrition facts. | How much energy is in a food.
p: food/item/name=food
np: the calories of {0} | the calories in {0} | the nutrition facts of {0}
vp: look up the calories in {0}
q: How many calories are in {0}? | How many calories does {0} have? | Is {0} healthy? | Does {0} make me fat?
r: num

n: add_to_shopping_list shopping_list_add add_grocery
d: Add something to the shopping list. | Note an item to buy.
p: item/name/product=food quantity?/amount?:integer=small
vp: put {0} on the shopping list | add {0} to the shopping list | add {1} {0} to my shopping list
q: We are out of {0}. | We need {0}, write it on the list. | Don't forget to buy {0}.
r: done

n: order_food order_pizza order_meal delivery_order
d: Order food for delivery. | Have a meal brought.
p: dish/item/meal=dish address?/to?=street
vp: order {0} | order {0} to {1} | have {0} delivered to {1}
q: I'd love some {0}, please order it. | Bring {0} to {1}.
r: done

n: wine_pairing suggest_wine pair_wine
d: Suggest a wine for a dish. | Which drink goes with a meal.
p: dish/food=dish
np: a wine for {0} | the right wine for {0}
vp: suggest a wine for {0}
q: Which wine goes with {0}? | What should I drink with {0}?
r: word

n: substitute_ingredient ingredient_substitute replace_ingredient
d: Replacement for an ingredient. | What to use instead of an ingredient.
p: ingredient/item=food
np: a substitute for {0} | a replacement for {0}
vp: find a substitute for {0}
q: What can I use instead of {0}? | I have no {0}. What else can I take?
r: word

n: menu get_menu todays_menu
d: Menu of a restaurant. | What a restaurant serves.
p: restaurant/name=restaurant
np: the menu of {0} | the menu at {0}
vp: show me the menu of {0}
q: What can I eat at {0}? | What do they serve at {0}? | What is on the menu at {0}?
r: list

# health
n: book_appointment doctor_appointment make_appointment
d: Book an appointment with a doctor. | Make an appointment.
p: doctor/name/with_whom=doctor date/day/when=day
vp: book an appointment with {0} on {1} | make an appointment with {0} for {1}
q: I have to see {0} on {1}. | I need {0}, best on {1}.
r: done

n: check_symptom symptom_checker diagnose
d: Possible causes of a symptom. | What a symptom may mean.
p: symptom/symptoms=symptom
np: the cause of {0} | the causes of {0}
vp: check what {0} may mean
q: I have {0}. What could it be? | What does it mean when I have {0}? | Why do I have {0}? | What helps against {0}?
r: sentence

n: drug_info medicine_info get_medication
d: Facts about a medicine. | Dose and side effects of a drug.
p: drug/name/medicine=drug
np: the dose of {0} | the side effects of {0}
vp: look up the medicine {0}
q: What is {0} used for? | How much {0} may I take? | Is {0} dangerous?
r: sentence

n: find_pharmacy nearest_pharmacy pharmacy
d: Find a pharmacy. | Where to buy medicine.
p: city/location/near=place
np: a pharmacy in {0} | the nearest pharmacy in {0}
vp: find a pharmacy in {0}
q: Where can I buy medicine in {0}? | Which pharmacy is open in {0}?
r: street

n: log_workout record_workout add_workout
d: Record a workout. | Note a sport session.
p: activity/sport/exercise=sport minutes/duration:integer=small
vp: log {1} minutes of {0} | record {1} minutes of {0} | note {1} minutes of {0}
q: I did {1} minutes of {0} today. | I just finished {1} minutes of {0}, write it down.
r: done

n: bmi calculate_bmi body_mass_index
d: Body mass index. | Compute the BMI from weight and height.
p: weight/weight_kg:number=num height/height_cm:number=num
np: the BMI for {0} kg and {1} cm | the body mass index of someone with {0} kg and {1} cm
vp: compute my BMI with {0} kg and {1} cm
q: I weigh {0} kg and am {1} cm tall. What is my BMI? | Am I too heavy with {0} kg at {1} cm?
r: num

n: heart_rate get_heart_rate pulse
d: Heart rate of the user. | Current pulse.
p:
np: my heart rate | my pulse | my current pulse
vp: measure my pulse
q: How fast does my heart beat? | How fast is my heart?
r: num

n: step_count get_steps steps
d: Number of steps. | Steps walked on a day.
p: day/date=day
np: the number of steps {0} | my step count for {0}
vp: count my steps of {0}
q: How many steps did I make {0}? | How far did I walk {0}?
r: num

n: water_intake log_water drink_water
d: Record a drink of water. | Note how much the user drank.
p: ml/amount/millilitres:integer=num
vp: log {0} ml of water | note {0} ml of water
q: I drank {0} ml of water. | I just had {0} ml of water.
r: done

n: sleep_report get_sleep sleep_hours
d: How long the user slept. | Sleep of the last night.
p:
np: my sleep report | my hours of sleep
vp: show me my sleep data
q: How did I sleep? | How long did I sleep last night? | Was my night good?
r: dur

# sports
n: get_score match_result score live_score game_score
d: Score of a team's match. | Result of the last game of a team.
p: team/club/name=team
np: the score of {0} | the result of the {0} game | the latest score of {0}
vp: look up the score of {0}
q: Did {0} win? | How did {0} play? | How did the {0} game end? | What was the result for {0}? | Has {0} won?
r: score

n: standings league_table table get_standings
d: Standings of a league. | The table of a league.
p: league/competition=league
np: the standings of the {0} | the table of the {0}
vp: show the standings of the {0}
q: Who leads the {0}? | Who is first in the {0}? | Who is on top of the {0}?
r: list

n: next_match next_game fixture upcoming_match
d: Next match of a team. | When a team plays again.
p: team/club=team
np: the next match of {0} | the next game of {0}
vp: find the next match of {0}
q: When does {0} play next? | Against whom does {0} play next? | When is the next {0} game?
r: date

n: player_stats get_player_stats player_info
d: Statistics of a player. | Goals and points of an athlete.
p: player/name=person season?/year?:integer=year
np: the statistics of {0} | the stats of {0} in {1} | the stats for {0}
vp: look up the stats of {0}
q: How many goals did {0} score in {1}? | How good is {0} this season? | How did {0} do in {1}?
r: num

n: buy_ticket match_tickets get_tickets ticket_booking
d: Buy tickets for an event. | Order tickets.
p: event/name/match=event quantity/count/number:integer=small
vp: buy {1} tickets for {0} | get me {1} tickets for {0} | order {1} tickets for {0}
q: We want to see {0}, we are {1} people. | I need {1} seats for {0}.
r: done

# media
n: search_movies find_movie movie_search movie_info
d: Find a movie. | Facts about a film. | Search a movie database.
p: title/query/name=title year?:integer=year
np: the movie {0} | the film {0} from {1}
vp: find the movie {0} | look up the film {0}
q: What is the movie {0} about? | Who plays in {0}? | Is {0} a good movie? | When did {0} come to the cinema?
r: sentence

n: movie_showtimes showtimes cinema
d: Showtimes of a film in a city. | When a movie runs in the cinema.
p: movie/title/film=title city/place=place
np: the showtimes of {0} in {1} | the times for {0} in {1}
vp: look up when {0} runs in {1}
q: When can I see {0} in {1}? | Where in {1} do they show {0}? | Does {0} still run in {1}?
r: time

n: recommend_movie suggest_movie movie_recommendation
d: Recommend a movie of a genre. | Suggest a film to watch.
p: genre/category=genre
np: a good {0} movie | a {0} film for tonight
vp: recommend a {0} movie | suggest a {0} film
q: Which {0} movie should I watch? | I'm in the mood for a {0} film.
r: title

n: find_book search_books book_search book_info
d: Find a book. | Search books by title or author. | Facts about a book.
p: title/query/book=title
np: the book {0}
vp: find the book {0} | look for the book {0}
q: Who wrote {0}? | Do you have the book {0}? | What is the book {0} about? | I want to read {0}.
r: sentence

n: get_lyrics lyrics song_text
d: Lyrics of a song. | The words of a song.
p: song/title=title artist?/singer?=person
np: the lyrics of {0} | the lyrics of {0} by {1} | the words of the song {0}
vp: find the lyrics of {0}
q: How does the text of {0} go? | What do they sing in {0}?
r: sentence

n: get_news news latest_news headlines
d: Latest news on a topic. | Get the headlines. | News about something.
p: topic/query/subject/category=topic
np: the news about {0} | the latest news on {0} | the headlines on {0}
vp: get the news about {0} | read me the news on {0}
q: What is new about {0}? | What's happening with {0}? | Anything new on {0}? | What do the papers say about {0}?
r: sentence

n: tv_program tv_guide whats_on
d: TV programme of a channel. | What is on television.
p: channel/station=channel time?/when?=time
np: the programme of {0} | the programme on {0} at {1}
vp: look up what runs on {0}
q: What is on {0}? | What runs on {0} at {1}? | What can I watch on {0} tonight?
r: title

n: create_playlist new_playlist make_playlist
d: Create a playlist. | Make a new list of songs.
p: name/title=thing genre?/mood?=genre
vp: create a playlist called {0} | make a playlist named {0} with {1} music
q: I want a new playlist, call it {0}.
r: done

n: download_podcast get_podcast podcast
d: Get an episode of a podcast. | Download a podcast.
p: name/podcast/title=title episode?/number?:integer=small
vp: download the podcast {0} | get episode {1} of {0}
q: I want to listen to the podcast {0}. | I missed episode {1} of {0}.
r: done

n: joke tell_joke get_joke random_joke
d: Tells a joke. | Returns a joke.
p:
np: a joke | a good joke
vp: tell me a joke | make me laugh
q: Do you know something funny? | I need a laugh.
r: sentence

n: quote_of_the_day get_quote random_quote daily_quote
d: A quote for the day. | Returns a wise saying.
p:
np: the quote of the day | a wise quote
vp: give me a quote | show me today's quote
q: Do you have some wisdom for me? | What is today's saying?
r: sentence

n: flip_coin coin_flip toss_coin
d: Flip a coin. | Heads or tails.
p:
vp: flip a coin | toss a coin
q: Heads or tails? | Let the coin decide.
r: word

n: roll_dice dice roll
d: Roll dice. | Throw a die with some sides.
p: sides/n/faces:integer=small
vp: roll a die with {0} sides | roll a {0}-sided die | throw a {0} sided dice
q: Let a {0} sided die decide.
r: num

# language
n: translate translate_text translator
d: Translate a text into another language. | Translation service. | Translates text.
p: text/sentence/input=clause target_language/language/to/target=lang
np: the {1} translation of "{0}" | "{0}" in {1}
vp: translate "{0}" into {1} | translate {0} to {1} | put "{0}" into {1} | turn "{0}" into {1}
q: How do you say "{0}" in {1}? | What does "{0}" mean in {1}? | What is {1} for {0}? | How do I say {0} in {1}?
r: sentence

n: define define_word dictionary get_definition definition
d: Definition of a word. | Look up a word in the dictionary. | What a word means.
p: word/term=word
np: the definition of {0} | the meaning of {0} | the meaning of the word "{0}"
vp: define {0} | look up the word {0} in the dictionary | explain the word {0}
q: What does {0} mean? | What is meant by "{0}"? | What does the word {0} stand for?
r: sentence

n: synonyms get_synonyms find_synonym thesaurus
d: Synonyms of a word. | Words with the same meaning.
p: word/term=word
np: a synonym for {0} | synonyms of {0} | another word for {0}
vp: find a synonym for {0}
q: Which words mean the same as {0}? | How else can I say {0}? | What could I write instead of {0}?
r: list

n: antonym get_antonym opposite
d: Opposite of a word. | Words with the contrary meaning.
p: word/term=word
np: the opposite of {0} | an antonym of {0}
vp: find the opposite of {0}
q: Which word means the contrary of {0}?
r: word

n: detect_language language_detection identify_language
d: Detect the language of a text. | Which language a text is in.
p: text/input=clause
np: the language of "{0}"
vp: detect the language of: {0}
q: Which language is "{0}"? | In which language is this written: {0}
r: word

n: summarize summarize_text make_summary
d: Summarize a text. | Make a text shorter.
p: text/input/content=clause
np: a summary of: {0} | the summary of "{0}"
vp: summarize: {0} | summarize this text: {0} | make this shorter: {0}
q: Can I have this in short: {0}
r: sentence

n: sentiment analyze_sentiment sentiment_analysis
d: Sentiment of a text. | Whether a text is positive or negative.
p: text/input/review=clause
np: the sentiment of "{0}" | the mood of: {0}
vp: analyze the sentiment of "{0}"
q: Is "{0}" positive or negative? | Does "{0}" sound happy?
r: word

n: spell_word check_spelling spellcheck correct_spelling
d: Check the spelling of a word. | Correct spelling mistakes.
p: word/text=word
np: the right spelling of {0} | the spelling of {0}
vp: check the spelling of {0} | correct {0}
q: Is {0} spelled right? | Did I write {0} correctly?
r: word

n: rhyme find_rhymes rhymes
d: Words that rhyme. | Find a rhyme for a word.
p: word=word
np: a rhyme for {0}
vp: find a rhyme for {0}
q: What rhymes with {0}? | Which words sound like {0}?
r: list

n: text_to_speech speak say_aloud
d: Read a text aloud. | Speak a text.
p: text/message=clause voice?=first
vp: say "{0}" aloud | read "{0}" out loud | speak "{0}" with the voice of {1}
q: I want to hear this: {0}
r: done
"""
