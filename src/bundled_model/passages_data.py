"""Facts, filler and prompt texts for question answering over a passage; data only.

A group is a sort of subject. Its kinds are tuples: the makers of the values a (and b), the sentences, the questions for a
(and for b); alternatives are separated by "|". {s} is the subject.
"""
from __future__ import annotations

PERSON = [
    ("place", "{s} lives in {a}.|{s} has lived in {a} for years.|{s} has a small flat in {a}.|The home of {s} is in {a}.|{s} moved to {a} and still lives there.",
     "Where does {s} live?|In which city does {s} live?|What city does {s} live in?|Where is the home of {s}?|where does {s} live|Which city is {s}'s home?"),
    ("place year", "{s} was born in {a} in {b}.|{s} was born in {b} in {a}.|Born in {a} in {b}, {s} grew up there.|{s}, born in {b} in {a}, is well known.",
     "Where was {s} born?|In which city was {s} born?|What is the birthplace of {s}?|What is {s}'s place of birth?",
     "When was {s} born?|In which year was {s} born?|In what year was {s} born?|What is {s}'s year of birth?|What year was {s} born?"),
    ("job place", "{s} works as a {a} in {b}.|{s} is a {a} in {b}.|{s} earns a living as a {a} in {b}.|In {b}, {s} works as a {a}.",
     "What is the job of {s}?|What does {s} do for a living?|What is {s}'s job?|What is the profession of {s}?|What does {s} do?|What kind of work does {s} do?",
     "Where does {s} work?|In which city does {s} work?|What city does {s} work in?"),
    ("company", "{s} is employed by {a}.|{s} has a job at {a}.|{s} joined {a} and stayed there.|The employer of {s} is {a}.",
     "Which company employs {s}?|Who is the employer of {s}?|Who employs {s}?|Which company is {s} employed by?|At which company does {s} have a job?"),
    ("years", "{s} is {a} old.|{s} turned {a} old last week.|At the moment, {s} is {a} old.",
     "How old is {s}?|What is the age of {s}?|What is {s}'s age?|how old is {s}"),
    ("subject place", "{s} studied {a} in {b}.|{s} has a degree in {a} from the university of {b}.|{s} read {a} at the university of {b}.",
     "What did {s} study?|Which subject did {s} study?|What was {s}'s subject at university?|In what subject does {s} have a degree?",
     "Where did {s} study?|At which university did {s} study?|In which city did {s} study?"),
    ("language", "{s} speaks {a} at home.|The mother tongue of {s} is {a}.|{s} grew up speaking {a}.",
     "Which language does {s} speak?|What is the mother tongue of {s}?|What is {s}'s language?|What language does {s} speak?"),
    ("instrument", "{s} plays the {a}.|{s} has played the {a} since childhood.|{s} plays the {a} every evening.",
     "What instrument does {s} play?|Which instrument does {s} play?|What does {s} play every evening?"),
    ("sport weekday", "{s} does {a} every {b}.|Every {b}, {s} goes to {a} training.|{s} trains for {a} on {b}.",
     "What sport does {s} do?|Which sport does {s} train for?|What is the sport of {s}?",
     "On which day does {s} train?|When does {s} train?|What day does {s} do sport?"),
    ("first", "{s} is married to {a}.|{s} and {a} got married.|{a} is the partner of {s}.",
     "Who is {s} married to?|Who is the partner of {s}?|To whom is {s} married?|What is the name of {s}'s partner?"),
    ("first", "{s} has a daughter named {a}.|The daughter of {s} is called {a}.|{a} is the only daughter of {s}.",
     "What is the name of {s}'s daughter?|Who is the daughter of {s}?|What is the daughter of {s} called?"),
    ("animal first", "{s} has a {a} named {b}.|{s} keeps a {a} called {b}.|{s} owns a {a} whose name is {b}.",
     "What pet does {s} have?|Which animal does {s} own?|What kind of animal does {s} keep?|What animal does {s} have?",
     "What is the name of {s}'s pet?|What is {s}'s animal called?|What is the pet of {s} called?"),
    ("color", "The favorite color of {s} is {a}.|{s} likes the color {a} best.|{s}'s favorite color is {a}.",
     "What is the favorite color of {s}?|What is {s}'s favorite color?|Which color does {s} like best?|Which color does {s} prefer?"),
    ("food", "{s} likes to eat {a}.|The favorite food of {s} is {a}.|{s} could eat {a} every day.|For dinner, {s} always wants {a}.",
     "What does {s} like to eat?|What is the favorite food of {s}?|What is {s}'s favorite food?|Which food does {s} like?"),
    ("title year", "{s} wrote the book {a} in {b}.|{s} published {a} in {b}.|In {b}, {s} wrote {a}.|The novel {a} by {s} came out in {b}.",
     "What did {s} write?|Which book did {s} write?|What is the title of {s}'s book?|What book is by {s}?",
     "When did {s} publish the book?|In which year did {s} write a book?|When did the book by {s} come out?"),
    ("adjnoun year", "{s} invented the {a} in {b}.|In {b}, {s} invented the {a}.|{s} built the first {a} in {b}.",
     "What did {s} invent?|Which invention is {s} known for?|What was invented by {s}?",
     "When did {s} make the invention?|In which year did {s} invent something?"),
    ("prize year", "{s} won the {a} in {b}.|In {b}, {s} received the {a}.|{s} was given the {a} in {b}.",
     "Which prize did {s} win?|What did {s} win?|What award did {s} receive?|Which award did {s} win?",
     "When did {s} win the prize?|In which year did {s} win?|What year did {s} receive the award?"),
    ("phone", "The phone number of {s} is {a}.|You can call {s} at {a}.|{s} can be reached at {a}.",
     "What is the phone number of {s}?|What is {s}'s phone number?|How can I call {s}?|Which number reaches {s}?"),
    ("email", "The email address of {s} is {a}.|Write to {s} at {a}.|{s} reads mail at {a}.",
     "What is the email address of {s}?|What is {s}'s email?|What is the email of {s}?|Where can I write to {s}?"),
    ("smallnum room", "{s} sits in room {a}, next to the {b}.|The office of {s} is room {a}, near the {b}.",
     "In which room does {s} sit?|What is the room number of {s}?|Which room is {s} in?|Which room is the office of {s}?",
     "What is next to the room of {s}?|What is near the office of {s}?"),
    ("count nouns", "{s} bought {a} {b}.|{s} paid for {a} {b}.|Last week {s} bought {a} {b} at the market.",
     "How many {b} did {s} buy?|How many {b} did {s} pay for?", "What did {s} buy?|What things did {s} buy?"),
    ("nouns", "{s} collects {a}.|{s} has a large collection of {a}.|The hobby of {s} is collecting {a}.",
     "What does {s} collect?|What is the hobby of {s}?|What is in {s}'s collection?"),
    ("department person", "{s} leads the {a} team and reports to {b}.|{s} is the head of {a}. The boss of {s} is {b}.|{s} runs the {a} department under {b}.",
     "Which team does {s} lead?|Which department does {s} run?|What is {s} the head of?",
     "Who does {s} report to?|Who is the boss of {s}?|Who is {s}'s manager?"),
    ("place date", "{s} will travel to {a} on {b}.|On {b}, {s} flies to {a}.|{s} has a trip to {a} planned for {b}.",
     "Where will {s} travel?|Where does {s} fly to?|What is the destination of {s}?|Where is {s} going?",
     "When will {s} travel?|On what date does {s} fly?|When is the trip of {s}?|When does {s} leave?"),
    ("money", "{s} earns {a} a month.|The monthly salary of {s} is {a}.|{s} is paid {a} a month.",
     "How much does {s} earn?|What is the salary of {s}?|What is {s}'s salary?|How much is {s} paid a month?"),
    ("color vehicle", "{s} drives a {a} {b}.|{s} owns a {a} {b}.|{s} has a {a} {b} in front of the house.",
     "What color is {s}'s {b}?|What is the color of the {b} of {s}?|Which color does the {b} of {s} have?",
     "What does {s} drive?|Which vehicle does {s} own?|What vehicle does {s} have?"),
    ("time", "{s} gets up at {a}.|{s} wakes up at {a} every day.|The alarm clock of {s} rings at {a}.",
     "When does {s} get up?|At what time does {s} wake up?|What time does {s} get up?"),
    ("disease", "{s} went to the doctor because of {a}.|{s} suffers from {a}.|The doctor found that {s} has {a}.",
     "What does {s} suffer from?|Why did {s} go to the doctor?|What illness does {s} have?"),
    ("code", "The employee number of {s} is {a}.|{s} has the employee number {a}.|{s} is listed under the number {a}.",
     "What is the employee number of {s}?|What is {s}'s employee number?|Under which number is {s} listed?"),
    ("thing2 first", "{s} gave {a} to {b}.|{s} lent {a} to {b}.|{b} got {a} from {s}.", "What did {s} give to {b}?|What did {b} get from {s}?",
     "Who got {a} from {s}?|To whom did {s} give {a}?|Who did {s} give {a} to?"),
    ("first place", "{s} met {a} in {b}.|In {b}, {s} met {a}.|{s} ran into {a} in {b}.", "Who did {s} meet in {b}?|Whom did {s} meet?|Who did {s} meet?",
     "Where did {s} meet {a}?|In which city did {s} meet {a}?"),
    ("thing2 room", "{s} found {a} in the {b}.|In the {b}, {s} found {a}.|{s} discovered {a} in the {b}.", "What did {s} find?|What did {s} find in the {b}?|What did {s} discover?",
     "In which room did {s} find {a}?|Which room did {s} find {a} in?"),
    ("thing2", "{s} lost {a}.|{s} cannot find {a}.|{s} is looking for {a}.", "What did {s} lose?|What is {s} looking for?|What can {s} not find?"),
    ("year", "{s} died in {a}.|{s} lived until {a}.|The death of {s} was in {a}.", "When did {s} die?|In which year did {s} die?|Until when did {s} live?"),
    ("company year", "{s} worked at {a} until {b}.|{s} left {a} in {b}.|In {b}, {s} quit the job at {a}.", "Which company did {s} leave?|What company did {s} quit?|Where did {s} work before?",
     "When did {s} leave {a}?|In which year did {s} leave {a}?|Until when did {s} work at {a}?"),
    ("secret", "The password of {s} is {a}.|{s} chose the password {a}.|{s} uses {a} as a password.",
     "What is the password of {s}?|What is {s}'s password?|Which password does {s} use?"),
]
COMPANY = [
    ("person year", "{s} was founded by {a} in {b}.|{a} founded {s} in {b}.|In {b}, {a} started {s}.|{s} goes back to {b}, when it was founded by {a}.",
     "Who founded {s}?|Who is the founder of {s}?|Who started {s}?|By whom was {s} founded?",
     "When was {s} founded?|In which year was {s} founded?|When did {s} start?|What year was {s} founded?"),
    ("place", "{s} has its headquarters in {a}.|{s} is based in {a}.|The head office of {s} is in {a}.|{s} is a company from {a}.",
     "Where is {s} based?|Where are the headquarters of {s}?|In which city is {s} based?|Where is the head office of {s}?|Where does {s} have its headquarters?"),
    ("count", "{s} has {a} employees.|{s} employs {a} people.|About {a} people work at {s}.|The staff of {s} counts {a} people.",
     "How many employees does {s} have?|How many people work at {s}?|How many people does {s} employ?|How large is the staff of {s}?"),
    ("adjnouns", "{s} makes {a}.|{s} produces {a}.|{s} builds and sells {a}.|The main product of {s} is {a}.",
     "What does {s} make?|What does {s} produce?|What is the main product of {s}?|What does {s} sell?"),
    ("person", "The CEO of {s} is {a}.|{s} is led by {a}.|{a} runs {s} as its CEO.|{a} has been the head of {s} since last year.",
     "Who is the CEO of {s}?|Who leads {s}?|Who runs {s}?|What is the name of the CEO of {s}?|Who is the head of {s}?"),
    ("bigmoney", "{s} made a profit of {a} last year.|Last year the profit of {s} was {a}.|{s} reported a profit of {a}.",
     "How much profit did {s} make?|What was the profit of {s}?|How high was {s}'s profit?"),
    ("bigmoney", "{s} had revenue of {a}.|The revenue of {s} was {a}.|{s} reached a revenue of {a}.",
     "What was the revenue of {s}?|How much revenue did {s} have?|How high was the revenue of {s}?"),
    ("company2 bigmoney", "{s} bought {a} for {b}.|{s} took over {a} for {b}.|For {b}, {s} acquired {a}.",
     "Which company did {s} buy?|What did {s} take over?|Which company did {s} acquire?",
     "How much did {s} pay for {a}?|For how much did {s} buy {a}?|What was the price of {a}?"),
    ("email", "The support address of {s} is {a}.|Customers of {s} can write to {a}.|{s} answers mail sent to {a}.",
     "What is the support address of {s}?|What is the email address of {s}?|Where can customers of {s} write to?"),
    ("phone", "The hotline of {s} is {a}.|{s} can be called at {a}.|Call {s} at {a} for help.",
     "What is the hotline of {s}?|What is the phone number of {s}?|How can I call {s}?|Which number can I call to reach {s}?"),
    ("days", "{s} takes goods back within {a}.|At {s}, returns are possible within {a}.|Customers of {s} can return goods for {a}.",
     "Within how many days does {s} take goods back?|How long can I return goods at {s}?|How long do customers of {s} have for returns?"),
    ("time time", "{s} opens at {a} and closes at {b}.|The shop of {s} is open from {a} to {b}.|Opening hours at {s} are from {a} to {b}.",
     "When does {s} open?|At what time does {s} open?|What time does {s} open?",
     "When does {s} close?|At what time does {s} close?|Until when is {s} open?"),
    ("days", "{s} delivers within {a}.|Delivery by {s} takes {a}.|An order at {s} arrives after {a}.",
     "How long does delivery by {s} take?|How fast does {s} deliver?|How long does {s} need to deliver?"),
    ("days", "Staff at {s} get {a} of vacation a year.|{s} gives its workers {a} of vacation.|Each year, people at {s} have {a} of vacation.",
     "How much vacation does {s} give?|How many days of vacation do people at {s} get?|How much vacation do workers at {s} have?"),
    ("color", "The logo of {s} is {a}.|{s} has a {a} logo.|{s} uses {a} for its logo.",
     "What color is the logo of {s}?|Which color does the logo of {s} have?|What is the color of {s}'s logo?"),
    ("country", "{s} opened a factory in {a}.|The new factory of {s} is in {a}.|{s} runs a plant in {a}.",
     "In which country did {s} open a factory?|Where is the factory of {s}?|Where does {s} have a plant?"),
    ("percent", "The shares of {s} rose by {a}.|{s} saw its shares climb by {a}.|Shares of {s} gained {a} today.",
     "By how much did the shares of {s} rise?|How much did {s}'s shares gain?|How much did the shares of {s} climb?"),
    ("code", "The tax number of {s} is {a}.|{s} is registered under {a}.|{s} has the tax number {a}.",
     "What is the tax number of {s}?|Under which number is {s} registered?|What is {s}'s tax number?"),
]
TOWN = [
    ("bignum", "{s} has {a} inhabitants.|{s} has a population of {a}.|About {a} people live in {s}.|The population of {s} is {a}.",
     "How many people live in {s}?|What is the population of {s}?|How many inhabitants does {s} have?|How big is the population of {s}?"),
    ("person", "The mayor of {s} is {a}.|{a} is the mayor of {s}.|{s} elected {a} as its mayor.",
     "Who is the mayor of {s}?|What is the name of the mayor of {s}?|Who was elected mayor of {s}?"),
    ("proper", "{s} lies on the river {a}.|The river {a} flows through {s}.|{s} was built on the banks of the river {a}.",
     "Which river flows through {s}?|On which river does {s} lie?|What is the river of {s} called?"),
    ("year", "{s} was first mentioned in {a}.|The first record of {s} is from {a}.|{s} became a town in {a}.",
     "When was {s} first mentioned?|From which year is the first record of {s}?|When did {s} become a town?"),
    ("food", "{s} is famous for its {a}.|Visitors come to {s} for the {a}.|The specialty of {s} is {a}.",
     "What is {s} famous for?|What is the specialty of {s}?|Why do visitors come to {s}?"),
    ("temp", "The temperature in {s} is {a}.|It is {a} in {s} today.|In {s} the thermometer shows {a}.",
     "What is the temperature in {s}?|How warm is it in {s}?|How many degrees is it in {s}?"),
    ("weather", "The weather in {s} is {a}.|Today it is {a} in {s}.|In {s} it will be {a} all day.",
     "What is the weather in {s}?|How is the weather in {s}?|What is the weather like in {s}?|What's the weather in {s}?"),
    ("money", "A ticket to {s} costs {a}.|You pay {a} for a ticket to {s}.|The trip to {s} costs {a}.",
     "How much is a ticket to {s}?|What does a ticket to {s} cost?|How much does the trip to {s} cost?"),
    ("length", "The tower of {s} is {a} tall.|{s} has a tower that is {a} tall.|The tower in {s} rises to {a}.",
     "How tall is the tower of {s}?|What is the height of the tower in {s}?|How high is the tower in {s}?"),
    ("month", "The carnival in {s} is in {a}.|{s} holds its fair in {a}.|Every {a} there is a big fair in {s}.",
     "In which month is the fair in {s}?|When is the fair in {s}?|In what month does {s} hold its fair?"),
    ("hours", "The train to {s} takes {a}.|By train it takes {a} to reach {s}.|{s} can be reached by train in {a}.",
     "How long does the train to {s} take?|How long does it take to reach {s} by train?|How long is the train ride to {s}?"),
    ("proper", "The largest museum in {s} is the {a} Museum.|{s} is home to the {a} Museum.|In {s} you can visit the {a} Museum.",
     "Which museum can you visit in {s}?|What is the museum in {s} called?|Which museum is in {s}?"),
    ("length", "{s} lies {a} above the sea.|The town of {s} is {a} above sea level.",
     "How high above the sea is {s}?|How high does {s} lie?|What is the elevation of {s}?"),
    ("person year", "The bridge in {s} was built by {a} in {b}.|{a} built the bridge of {s} in {b}.|In {b}, {a} built a bridge in {s}.",
     "Who built the bridge in {s}?|Who is the builder of the bridge in {s}?|By whom was the bridge in {s} built?",
     "When was the bridge in {s} built?|In which year was the bridge in {s} built?"),
]
COUNTRYK = [
    ("place", "The capital of {s} is {a}.|{a} is the capital of {s}.|{s} is ruled from its capital {a}.|{s} made {a} its capital.",
     "What is the capital of {s}?|Which city is the capital of {s}?|what is the capital of {s}|What is {s}'s capital?|Name the capital of {s}."),
    ("proper", "The highest mountain in {s} is {a}.|In {s} the highest mountain is {a}.|{s} has a high mountain called {a}.",
     "What is the highest mountain in {s}?|Which mountain in {s} is the highest?|What is the high mountain in {s} called?"),
    ("proper", "The longest river of {s} is the {a}.|The {a} is the longest river in {s}.",
     "What is the longest river in {s}?|Which river is the longest in {s}?"),
    ("language", "People in {s} speak {a}.|The language of {s} is {a}.|In {s}, {a} is the official language.",
     "Which language do people in {s} speak?|What is the official language of {s}?|What language is spoken in {s}?"),
    ("proper", "The money of {s} is called the {a}.|In {s} people pay with the {a}.|The currency of {s} is the {a}.",
     "What is the currency of {s}?|What is the money of {s} called?|What do people pay with in {s}?"),
    ("person year", "The president of {s} is {a}, elected in {b}.|{s} elected {a} as president in {b}.|{a} became president of {s} in {b}.",
     "Who is the president of {s}?|Who was elected president of {s}?|What is the name of the president of {s}?",
     "When was the president of {s} elected?|In which year did {s} elect a president?"),
    ("animal", "The national animal of {s} is the {a}.|{s} has the {a} as its national animal.|On the coins of {s} there is a {a}.",
     "What is the national animal of {s}?|Which animal stands for {s}?|Which animal is on the coins of {s}?"),
    ("color color", "The flag of {s} is {a} and {b}.|{s} has a {a} and {b} flag.", "What is the first color of the flag of {s}?|Which color of {s}'s flag comes first?",
     "What is the second color of the flag of {s}?|Which color of {s}'s flag comes second?"),
    ("food", "{s} exports a lot of {a}.|The main export of {s} is {a}.|{s} sells {a} to the whole world.",
     "What does {s} export?|What is the main export of {s}?|What does {s} sell to the world?"),
    ("year", "{s} became independent in {a}.|Since {a}, {s} has been independent.|The independence of {s} dates from {a}.",
     "When did {s} become independent?|Since when has {s} been independent?|In which year did {s} gain independence?"),
]
PRODUCT = [
    ("money", "{s} costs {a}.|The price of {s} is {a}.|You can buy {s} for {a}.|{s} is sold for {a}.",
     "How much does {s} cost?|What is the price of {s}?|What does {s} cost?|how much is {s}|How expensive is {s}?"),
    ("weight", "{s} weighs {a}.|The weight of {s} is {a}.|With its battery, {s} weighs {a}.",
     "How much does {s} weigh?|What is the weight of {s}?|How heavy is {s}?"),
    ("hours", "The battery of {s} lasts {a}.|{s} runs for {a} on one charge.|{s} has a battery life of {a}.",
     "How long does the battery of {s} last?|What is the battery life of {s}?|How long does {s} run on one charge?"),
    ("company", "{s} is made by {a}.|{a} makes {s}.|The maker of {s} is {a}.|{s} comes from {a}.",
     "Who makes {s}?|Which company makes {s}?|Who is the maker of {s}?|By whom is {s} made?"),
    ("color", "{s} is available in {a}.|{s} only comes in {a}.|The case of {s} is {a}.",
     "What color is {s}?|In which color is {s} available?|Which color does {s} come in?|What color does {s} come in?"),
    ("monthsn", "{s} has a warranty of {a}.|The warranty of {s} lasts {a}.|{s} comes with {a} of warranty.",
     "How long is the warranty of {s}?|What warranty does {s} have?|How long does the warranty of {s} last?|What is the warranty period for {s}?"),
    ("date", "{s} was released on {a}.|The release date of {s} is {a}.|{s} came on the market on {a}.",
     "When was {s} released?|What is the release date of {s}?|On what date did {s} come on the market?"),
    ("length", "{s} is {a} long.|The length of {s} is {a}.|{s} measures {a} in length.",
     "How long is {s} in size?|What is the length of {s}?|What length does {s} have?"),
    ("code", "The serial number of {s} is {a}.|{s} has the part number {a}.|{s} is listed in the catalog as {a}.",
     "What is the serial number of {s}?|What is the part number of {s}?|Under which number is {s} in the catalog?"),
    ("version", "The current version of {s} is {a}.|{s} is now at version {a}.|Version {a} of {s} came out this week.",
     "What is the current version of {s}?|Which version of {s} is current?|What version is {s} at?"),
    ("material", "{s} is made of {a}.|The body of {s} is {a}.|{s} consists of {a}.",
     "What is {s} made of?|Which material is {s} made of?|What does {s} consist of?"),
    ("speed", "{s} reaches {a}.|The top speed of {s} is {a}.|{s} can go as fast as {a}.",
     "How fast is {s}?|What is the top speed of {s}?|What speed does {s} reach?"),
    ("gb", "{s} has {a} of memory.|{s} comes with {a} of memory.|The memory of {s} is {a}.",
     "How much memory does {s} have?|What is the memory of {s}?|How big is the memory of {s}?"),
    ("job", "{s} was designed for every {a}.|{s} is a tool for a {a}.|Every {a} can use {s}.",
     "Who is {s} designed for?|Who can use {s}?|For whom is {s} made?"),
    ("rating", "{s} has a rating of {a}.|Users gave {s} a rating of {a}.|The rating of {s} is {a}.",
     "What is the rating of {s}?|Which rating does {s} have?|How did users rate {s}?"),
    ("count", "There are {a} pieces of {s} in stock.|{s} is in stock: {a} pieces are left.|We have {a} pieces of {s} left.",
     "How many pieces of {s} are left?|How many pieces of {s} are in stock?|How much of {s} is in stock?"),
]
WORK = [
    ("person year", "{s} was written by {a} in {b}.|{a} wrote {s} in {b}.|{s} is a work by {a} from {b}.|{s}, by {a}, came out in {b}.",
     "Who wrote {s}?|Who is the author of {s}?|By whom was {s} written?|What is the name of the author of {s}?",
     "When was {s} written?|In which year did {s} come out?|From which year is {s}?|When did {s} come out?"),
    ("count", "{s} has {a} pages.|{s} is {a} pages long.|The book {s} runs to {a} pages.",
     "How many pages does {s} have?|How long is {s}?|How many pages long is {s}?"),
    ("first job", "{s} tells the story of {a}, a {b}.|The hero of {s} is {a}, a {b}.|{s} is about a {b} named {a}.",
     "Who is the hero of {s}?|What is the name of the hero of {s}?|Who is {s} about?",
     "What is the job of the hero of {s}?|What does the hero of {s} do?"),
    ("place", "{s} is set in {a}.|The story of {s} takes place in {a}.|In {s} everything happens in {a}.",
     "Where is {s} set?|Where does {s} take place?|In which city is {s} set?|Where does the story of {s} take place?"),
    ("person", "{s} was directed by {a}.|{a} directed {s}.|The film {s} was made by {a}.",
     "Who directed {s}?|Who is the director of {s}?|By whom was {s} directed?"),
    ("count", "{s} sold {a} copies.|People bought {a} copies of {s}.|In its first year {s} sold {a} copies.",
     "How many copies did {s} sell?|How many copies of {s} were sold?|How many people bought {s}?"),
    ("language", "{s} was translated into {a}.|There is a version of {s} in {a}.|You can read {s} in {a}.",
     "Into which language was {s} translated?|In what language can you read {s}?|Which translation of {s} is there?"),
    ("proper", "{s} was published by {a} Press.|The publisher of {s} is {a} Press.",
     "Which press published {s}?|Who is the publisher of {s}?|Who published {s}?"),
    ("prize", "{s} won the {a}.|The jury gave {s} the {a}.|{s} was honored with the {a}.",
     "Which prize did {s} win?|What award did {s} win?|What did {s} win?"),
    ("genre", "{s} is a {a}.|Most shops list {s} as a {a}.|{s} belongs on the shelf of every {a} reader.",
     "What is the genre of {s}?|Which genre is {s}?|What kind of book is {s}?"),
]
EVENT = [
    ("date place", "{s} takes place on {a} in {b}.|{s} will be held in {b} on {a}.|On {a}, {s} starts in {b}.|Come to {s} in {b} on {a}.",
     "When does {s} take place?|When is {s}?|On what date is {s}?|What is the date of {s}?|when is {s}",
     "Where does {s} take place?|Where is {s}?|In which city is {s} held?|Where will {s} be held?|What is the location of {s}?"),
    ("time", "{s} starts at {a}.|The start of {s} is at {a}.|{s} begins at {a} sharp.",
     "At what time does {s} start?|What time does {s} start?|When on the day does {s} begin?|What is the start time of {s}?"),
    ("person", "{s} is organized by {a}.|{a} organizes {s}.|{a} is in charge of {s}.|The organizer of {s} is {a}.",
     "Who organizes {s}?|Who is in charge of {s}?|Who is the organizer of {s}?"),
    ("money", "The entry fee for {s} is {a}.|Tickets for {s} cost {a}.|Entry to {s} costs {a}.",
     "How much do tickets for {s} cost?|What is the entry fee for {s}?|What does entry to {s} cost?|How much is a ticket for {s}?"),
    ("count", "{a} guests came to {s}.|{s} was visited by {a} people.|{s} had {a} visitors.",
     "How many guests came to {s}?|How many visitors did {s} have?|How many people visited {s}?"),
    ("person", "The first speaker at {s} is {a}.|{a} gives the opening talk at {s}.|{s} opens with a talk by {a}.",
     "Who is the first speaker at {s}?|Who gives the opening talk at {s}?|Who speaks first at {s}?"),
    ("roomnum", "{s} is in {a}.|{s} was moved to {a}.|The room for {s} is {a}.",
     "In which room is {s}?|Which room is {s} in?|What is the room for {s}?|Which room was {s} moved to?"),
    ("hours", "{s} lasts {a}.|{s} takes {a} in all.|The length of {s} is {a}.",
     "How long does {s} last?|How long is {s}?|What is the length of {s}?|How long does {s} take?"),
    ("person place", "{s} was won by {a} from {b}.|{a} from {b} won {s}.|The winner of {s} is {a} from {b}.",
     "Who won {s}?|Who is the winner of {s}?|What is the name of the winner of {s}?",
     "Where is the winner of {s} from?|Which city does the winner of {s} come from?"),
    ("date", "The deadline for {s} is {a}.|You must sign up for {s} by {a}.|Sign up for {s} before {a}.",
     "What is the deadline for {s}?|By when must I sign up for {s}?|Until when can people sign up for {s}?"),
    ("food", "Guests of {s} get {a}.|At {s} there will be {a} for everyone.|The food at {s} is {a}.",
     "What do guests of {s} get to eat?|What food is there at {s}?|What is the food at {s}?"),
]
PLACEK = [
    ("place", "{s} is in {a}.|{s} stands in {a}.|You find {s} in {a}.|{s} is located in {a}.",
     "Where is {s}?|In which city is {s}?|Where can you find {s}?|Where is {s} located?|where is {s}"),
    ("year person", "{s} was built in {a} by {b}.|{b} built {s} in {a}.|Built by {b}, {s} opened in {a}.",
     "When was {s} built?|In which year was {s} built?|What year was {s} built?",
     "Who built {s}?|Who was the builder of {s}?|By whom was {s} built?|Who designed {s}?"),
    ("length", "{s} is {a} tall.|The height of {s} is {a}.|{s} rises to {a}.",
     "How tall is {s}?|What is the height of {s}?|How high is {s}?"),
    ("money", "Entry to {s} costs {a}.|Visitors pay {a} to see {s}.|A ticket for {s} is {a}.",
     "How much does entry to {s} cost?|What do visitors pay to see {s}?|How much is a ticket for {s}?"),
    ("weekday", "{s} is closed on {a}.|Every {a}, {s} is closed.|On {a}, {s} stays closed.",
     "On which day is {s} closed?|When is {s} closed?|What day is {s} closed?"),
    ("count", "{s} has {a} rooms.|There are {a} rooms in {s}.|In all, {s} has {a} rooms.",
     "How many rooms does {s} have?|How many rooms are in {s}?|What is the number of rooms in {s}?"),
    ("material", "{s} was made from {a}.|The walls of {s} are made of {a}.|{s} has walls of {a}.",
     "What are the walls of {s} made of?|From which material was {s} made?|What is {s} made from?"),
    ("person", "{s} belongs to {a}.|The owner of {s} is {a}.|{a} owns {s}.|{s} is the property of {a}.",
     "Who owns {s}?|Who is the owner of {s}?|To whom does {s} belong?|Whose property is {s}?"),
    ("addr", "The address of {s} is {a}.|You find {s} at {a}.|{s} is at {a}.",
     "What is the address of {s}?|At which address is {s}?|What is the street address of {s}?"),
    ("time time", "{s} is open from {a} to {b}.|{s} opens at {a} and closes at {b}.|Visitors can see {s} between {a} and {b}.",
     "When does {s} open?|From when is {s} open?|What time does {s} open?",
     "When does {s} close?|Until when is {s} open?|What time does {s} close?"),
]
OBJECT = [
    ("place2", "{s} is {a}.|{s} lies {a}.|You can find {s} {a}.|{s} was left {a}.|I put {s} {a}.",
     "Where is {s}?|Where can I find {s}?|Where was {s} left?|where is {s}"),
    ("person", "{s} belongs to {a}.|The owner of {s} is {a}.|{a} owns {s}.|{a} is the owner of {s}.",
     "Who owns {s}?|Who is the owner of {s}?|To whom does {s} belong?|Who does {s} belong to?"),
    ("person", "{s} was found by {a}.|{a} found {s}.|It was {a} who found {s}.", "Who found {s}?|By whom was {s} found?"),
    ("person", "{a} repaired {s}.|{s} was repaired by {a}.|The job of repairing {s} went to {a}.", "Who repaired {s}?|By whom was {s} repaired?"),
    ("color", "The color of {s} is {a}.|{s} was painted {a}.|Someone painted {s} {a}.",
     "What is the color of {s}?|What color is {s}?|Which color was {s} painted?"),
    ("money", "{s} is worth {a}.|{s} was sold for {a}.|Someone paid {a} for {s}.|The value of {s} is {a}.",
     "How much is {s} worth?|For how much was {s} sold?|What is the value of {s}?|How much was paid for {s}?"),
    ("year", "{s} dates from {a}.|{s} is from {a}.|{s} was made in {a}.",
     "From which year is {s}?|When was {s} made?|What year does {s} date from?"),
    ("weight", "{s} weighs {a}.|The weight of {s} is {a}.", "How much does {s} weigh?|What is the weight of {s}?|How heavy is {s}?"),
    ("material", "{s} is made of {a}.|{s} consists of {a}.|The material of {s} is {a}.",
     "What is {s} made of?|What is the material of {s}?|Which material was used for {s}?"),
    ("date", "{s} was delivered on {a}.|{s} arrived on {a}.|On {a}, {s} arrived.",
     "When was {s} delivered?|When did {s} arrive?|On what date did {s} arrive?"),
    ("code", "The number of {s} is {a}.|{s} has the label {a}.|{s} is marked with {a}.",
     "What is the number of {s}?|Which label does {s} have?|How is {s} marked?"),
    ("person place", "{a} sent {s} to {b}.|{s} was sent to {b} by {a}.", "Who sent {s}?|By whom was {s} sent?",
     "Where was {s} sent?|Where did {s} go?"),
]
SERVICE = [
    ("port", "{s} listens on port {a}.|{s} runs on port {a}.|The port of {s} is {a}.",
     "Which port does {s} use?|On which port does {s} listen?|What is the port of {s}?|What port does {s} run on?"),
    ("language2", "{s} is written in {a}.|The code of {s} is {a}.|{s} was programmed in {a}.",
     "In which language is {s} written?|What language is {s} written in?|Which programming language does {s} use?"),
    ("person", "{s} is maintained by {a}.|{a} maintains {s}.|The maintainer of {s} is {a}.",
     "Who maintains {s}?|Who is the maintainer of {s}?|By whom is {s} maintained?"),
    ("version", "The latest release of {s} is {a}.|{s} was updated to version {a}.|Version {a} of {s} is out.",
     "What is the latest release of {s}?|What is the latest version of {s}?|Which version of {s} is out?"),
    ("license", "{s} is released under the {a} license.|The license of {s} is {a}.|{s} uses the {a} license.",
     "What is the license of {s}?|Under which license is {s} released?|Which license does {s} use?"),
    ("seconds", "The timeout of {s} is {a}.|Requests to {s} time out after {a}.|{s} waits {a} before it gives up.",
     "What is the timeout of {s}?|After how long do requests to {s} time out?|How long does {s} wait?"),
    ("count", "{s} handles {a} requests per second.|Up to {a} requests per second reach {s}.|The limit of {s} is {a} requests per second.",
     "How many requests per second does {s} handle?|What is the request limit of {s}?|How many requests per second can {s} take?"),
    ("path", "The settings of {s} are in {a}.|{s} reads its settings from {a}.|{s} is configured in {a}.",
     "Where are the settings of {s}?|In which file is {s} configured?|Which file does {s} read its settings from?|Where is the configuration of {s}?"),
    ("command", "To start {s}, run {a}.|{s} is started with {a}.|Use {a} to start {s}.",
     "How do I start {s}?|Which command starts {s}?|How is {s} started?|What command starts {s}?"),
    ("command", "To install {s}, run {a}.|{s} is installed with {a}.|You install {s} with {a}.",
     "How do I install {s}?|Which command installs {s}?|How is {s} installed?|What command installs {s}?"),
    ("code", "The error code of {s} was {a}.|{s} failed with the error {a}.|{s} stopped with error {a}.",
     "What was the error of {s}?|With which error did {s} fail?|What error code did {s} give?"),
    ("gb", "{s} needs {a} of disk space.|{s} takes up {a} on the disk.|The disk space needed by {s} is {a}.",
     "How much disk space does {s} need?|How much space does {s} take?|How big is {s} on the disk?"),
    ("host", "{s} runs on the server {a}.|The host of {s} is {a}.|{a} is the server for {s}.",
     "On which server does {s} run?|What is the host of {s}?|Which server is used for {s}?"),
    ("db", "{s} stores its data in {a}.|The database of {s} is {a}.|{s} keeps everything in {a}.",
     "Where does {s} store its data?|What is the database of {s}?|Which database does {s} use?"),
]
PLAIN = [
    ("duration", "{s} lasts {a}.|The length of {s} is {a}.|{s} takes {a}.", "How long is {s}?|How long does {s} last?|How long does {s} take?|What is the length of {s}?"),
    ("money", "The cost of {s} is {a}.|You pay {a} for {s}.|{s} costs {a}.", "What does {s} cost?|How much does {s} cost?|What is the cost of {s}?|How much do I pay for {s}?"),
    ("time", "The time of {s} is {a}.|{s} is at {a}.|{s} was set for {a}.", "What time is {s}?|At what time is {s}?|For what time was {s} set?"),
    ("date", "{s} is due on {a}.|The date of {s} is {a}.|{s} is planned for {a}.", "When is {s} due?|What is the date of {s}?|When is {s}?|For which date is {s} planned?"),
    ("person", "{a} is responsible for {s}.|{s} is handled by {a}.|Ask {a} about {s}.|{a} takes care of {s}.",
     "Who is responsible for {s}?|Who handles {s}?|Who should I ask about {s}?|Who takes care of {s}?"),
    ("place2", "{s} is {a}.|You will find {s} {a}.|{s} can be found {a}.", "Where is {s}?|Where can I find {s}?|Where will I find {s}?"),
    ("code", "The code for {s} is {a}.|Use the code {a} for {s}.|{s} needs the code {a}.", "What is the code for {s}?|Which code do I need for {s}?|What code is used for {s}?"),
    ("count", "There are {a} places for {s}.|At most {a} people can use {s}.|{s} is open to {a} people.",
     "How many people can use {s}?|How many places are there for {s}?|How many people is {s} open to?"),
    ("status", "The status of {s} is {a}.|{s} is marked as {a}.|{s} is now {a}.", "What is the status of {s}?|How is {s} marked?|What is the state of {s}?"),
    ("percent", "The rate for {s} is {a}.|{s} is charged at {a}.|{s} went up by {a}.", "What is the rate for {s}?|How much is charged for {s}?|By how much did {s} go up?"),
]
ANIMALK = [
    ("food", "{s} eats {a}.|{s} feeds on {a}.|The food of {s} is {a}.", "What does {s} eat?|What is the food of {s}?|What does {s} feed on?"),
    ("years", "{s} lives for {a}.|{s} can reach an age of {a}.", "How long does {s} live?|What age can {s} reach?"),
    ("weight", "{s} weighs up to {a}.|A grown {s0} weighs {a}.", "How much does {s} weigh?|What is the weight of {s}?"),
    ("habitat", "{s} lives in the {a}.|You can see {s} in the {a}.|The home of {s} is the {a}.", "Where does {s} live?|Where can you see {s}?|What is the home of {s}?"),
    ("count", "{s} lays {a} eggs.|In spring {s} lays {a} eggs.", "How many eggs does {s} lay?"),
    ("color", "{s} has {a} fur.|The fur of {s} is {a}.", "What color is the fur of {s}?|Which color is {s}'s fur?|What color fur does {s} have?"),
    ("speed", "{s} runs at {a}.|{s} can run as fast as {a}.", "How fast does {s} run?|How fast can {s} run?"),
]

EVENTS = """conference meeting workshop concert festival race tournament exhibition wedding party lecture seminar parade auction fair reunion
hackathon marathon ceremony webinar training gala picnic match""".split()
BUILDINGS = "Tower Bridge Museum Castle Library Theater Hotel Church Palace Station Hospital Stadium Lighthouse Gallery School Mill Temple Garden".split()
PRODUCTS = """Phone Laptop Bike Camera Watch Lamp Drill Printer Tablet Speaker Scooter Drone Router Kettle Blender Heater Tent Radio Mixer Toaster""".split()
SERVICES = "service server tool library daemon gateway worker plugin scheduler parser database client".split()
PLAINS = """the warranty|the lunch break|the vacation|the trial period|the contract|the parking lot|the gym|the cafeteria|the interview|the exam|the course|the
annual report|the budget|the order|the delivery|the refund|the refund policy|the membership|the insurance|the rent|the tour|the boat trip|the breakfast|the
bus ride|the flight|the guided tour|the swimming pool|the sauna|the wifi|the printer|the meeting room|the front door|the garage|the safe|the server room|the
laundry|the bike rental|the visa|the permit|the payment|the subscription|the newsletter|the backup|the maintenance|the inspection|the audit|the release|the
software update|the migration|the office party|the school trip|the homework|the final exam|the first lesson|the dance class|the rehearsal|the concert|the
doctor's visit|the surgery|the vaccination|the checkup|the loan|the down payment|the deposit|the monthly fee|the late fee|the shipping|the gift card|the
lost and found|the help desk|the reception|the shuttle|the dinner|the conference call|the sprint review|the team lunch|the training|the probation|the
notice period|the travel request|the expense report|the time sheet|the badge|the locker""".replace("\n", " ").split("|")
HABITAT = "forest desert mountains river swamp sea jungle grassland arctic cave meadow lake steppe reef".split()
PRIZE = ["{0} Prize", "{0} Medal", "Golden {1}", "{0} Award", "Silver {1}", "National {1} Prize"]
PLACE2 = ["in the {room}", "on the {noun}", "behind the {noun}", "under the {noun}", "next to the {noun}", "in the {adj} {noun}", "in {city}", "on the {nth} floor",
          "in room {n}", "near the {noun}", "at the {noun} in {city}"]
DISEASE = ["a cold", "a fever", "back pain", "a broken arm", "an allergy", "headaches", "a cough", "a toothache", "a sore throat", "asthma", "a sprained ankle"]
STATUS = "approved pending rejected open closed finished blocked delayed cancelled ready active paused archived shipped delivered draft".split()
WEATHER = ["sunny", "rainy", "cloudy", "windy", "foggy", "snowy", "stormy", "hot and dry", "cold and wet", "mild", "partly cloudy", "warm and sunny"]
GENRE = "novel thriller comedy drama mystery romance biography western musical documentary poem play fantasy satire tragedy".split()
LICENSE = ["MIT", "Apache 2.0", "GPL", "BSD", "MPL 2.0", "LGPL", "ISC", "Zlib"]
PROGRAMMING = ["Python", "C++", "Rust", "Go", "Java", "C", "Ruby", "Kotlin", "Swift", "JavaScript", "TypeScript", "Scala", "Haskell", "Perl", "Julia", "Zig"]
DATABASE = ["PostgreSQL", "MySQL", "SQLite", "Redis", "MongoDB", "Cassandra", "a plain file", "MariaDB", "a CSV file", "DuckDB"]

FILLER = """It was a quiet day.|Many people know this.|This is a well-known story.|The rest is less clear.|There is more to say about this.|Not everyone agrees.|Some
details are still missing.|The list below was checked twice.|Please read the notes with care.|This page was updated recently.|The report was written by
the team.|Nobody was surprised.|The weather was fine at that time.|Things have changed since then.|It took a lot of work.|Visitors often ask about it.|The
story is told in many books.|This part is optional.|More details follow later.|See the last chapter for more.|Old records confirm it.|The newspapers wrote
about it.|It is not easy to explain.|Everyone was happy with the result.|A short overview is given here.|The numbers may change.|All data come from public
records.|This is only a summary.|There were some problems at first.|In the end everything went well.|The people there are friendly.|The food is good and
cheap.|Streets are narrow and old.|The plan was discussed for weeks.|Most of it is still true today.|Questions are welcome at any time.|Please keep this
page up to date.|The text is part of a longer document.|The winters are long and cold.|The view from the hill is great.|It rained a lot in autumn.|Children
like to play there.|The market is full of life in the morning.|Some say it is only a legend.|A new plan is being made.|The work will continue next year.|No
changes are expected.|The team is proud of this.|Prices are checked every month.|Quality matters more than speed.|Feedback is always welcome.|That was a
long time ago.|The rules are simple.|Keep this information in a safe place.|Experts have studied the matter for a long time.|Few people have seen the
original.|Life was hard in those days.|Trade made the region rich.|A fire destroyed many of the papers.|The library keeps a copy.|Today things look
different.|The road is long but safe.|Music can be heard in the evening.|The old walls are still standing.|Safety comes first.|Everybody should follow the
steps in order.|The first attempt failed.|A second attempt was better.|Thanks to everyone who helped.|For more information, contact the office.|This
section gives some background.|The facts are listed in no special order.|Such things happen.|It is a popular topic.|Opinions differ on this point.""".replace("\n", " ").split("|")

QA_SYSTEM = ("You are an expert Q&A system that is trusted around the world.\nAlways answer the query using the provided context information, and not prior "
             "knowledge.\nSome rules to follow:\n1. Never directly reference the given context in your answer.\n2. Avoid statements like 'Based on the "
             "context, ...' or 'The context information ...' or anything along those lines.")
LI_QA = ("Context information is below.\n---------------------\n{c}\n---------------------\nGiven the context information and not prior knowledge, answer the "
         "query.\nQuery: {q}\nAnswer: ")
LI_TREE = ("Context information from multiple sources is below.\n---------------------\n{c}\n---------------------\nGiven the information from multiple sources "
           "and not prior knowledge, answer the query.\nQuery: {q}\nAnswer: ")
LI_CONTEXT = "Use the context information below to assist the user.\n--------------------\n{c}\n--------------------\n\n\n{q}"
LI_CONDENSE_CONTEXT = (
    "\n  The following is a friendly conversation between a user and an AI assistant.\n  The assistant is talkative and provides lots of specific details from its "
    "context.\n  If the assistant does not know the answer to a question, it truthfully says it\n  does not know.\n\n  Here are the relevant documents for the "
    "context:\n\n  {c}\n\n  Instruction: Based on the above documents, provide a detailed answer for the user question below.\n  Answer \"don't know\" if not "
    "present in the document.\n  \n\n{q}")
LC_STUFF = ("Use the following pieces of context to answer the question at the end. If you don't know the answer, just say that you don't know, don't try to make "
            "up an answer.\n\n{c}\n\nQuestion: {q}\nHelpful Answer:")
LC_STUFF_CHAT = ("Use the following pieces of context to answer the user's question.\nIf you don't know the answer, just say that you don't know, don't try to make "
                 "up an answer.\n----------------\n{c}\n\n{q}")
LC_HUB = ("You are an assistant for question-answering tasks. Use the following pieces of retrieved context to answer the question. If you don't know the answer, "
          "just say that you don't know. Use three sentences maximum and keep the answer concise.\nQuestion: {q} \nContext: {c} \nAnswer:")
LC_TUTORIAL = ("You are an assistant for question-answering tasks. Use the following pieces of retrieved context to answer the question. If you don't know the "
               "answer, say that you don't know. Use three sentences maximum and keep the answer concise.\n\n{c}\n\n{q}")
# (weight, text): {c} is the context, {q} the question
PROMPTS = [
    (9, "Context: {c}\n\nQuestion: {q}"), (5, "Context:\n{c}\n\nQuestion: {q}\nAnswer:"), (5, "{c}\n\n{q}"), (2, "{q}\n\n{c}"), (2, "Question: {q}\n\nContext: {c}"),
    (2, "Question: {q}\nContext: {c}\nAnswer:"), (3, "Context: {c}\nQuestion: {q}\nAnswer:"), (2, "Text: {c}\nQuestion: {q}"), (2, "{c}\n{q}"), (2, "{c} {q}"),
    (7, "Answer the question based only on the following context:\n{c}\n\nQuestion: {q}\n"), (3, "Answer the question based only on the following context:\n\n{c}\n\nQuestion: {q}"),
    (2, "Answer the question using only this context:\n{c}\n\nQuestion: {q}"), (8, LC_STUFF), (5, LC_STUFF_CHAT), (7, LC_HUB), (5, LC_TUTORIAL),
    (3, "You are an assistant for question-answering tasks. Use the following context to answer the question. If you don't know the answer, say that you don't know."
        "\n\nContext:\n{c}\n\nQuestion: {q}\n\nAnswer:"),
    (3, "Answer any use questions based solely on the context below:\n\n<context>\n{c}\n</context>\n\n{q}"),
    (4, "Answer the following question based only on the provided context:\n\n<context>\n{c}\n</context>\n\nQuestion: {q}"),
    (2, "Answer the user's question based on the context below.\n\nContext: {c}\n\n{q}"), (3, "Answer the user's questions based on the below context:\n\n{c}\n\n{q}"),
    (2, "You are a helpful assistant. Use the following context in your response:\n\n{c}\n\n{q}"), (2, "Given the following information, answer the question.\n\nContext:\n{c}\n\nQuestion: {q}\nAnswer:"),
    (2, "Use the following context as your learned knowledge, inside <context></context> XML tags.\n\n<context>\n{c}\n</context>\n\n{q}"),
    (20, LI_QA), (20, QA_SYSTEM + "\n\n" + LI_QA), (6, LI_TREE), (6, QA_SYSTEM + "\n\n" + LI_TREE), (4, LI_CONTEXT), (3, LI_CONDENSE_CONTEXT),
    (2, "Context information is below.\n------------\n{c}\n------------\nGiven the context information and not prior knowledge, answer any questions\n\n{q}"),
    (2, "Read the text and answer.\n\n{c}\n\nQ: {q}\nA:"), (2, "Here is a text:\n\"{c}\"\n\n{q}"), (2, "Use this text: {c}\n\n{q}"), (1, "Based on the text below, {ql}\n\n{c}"),
    (1, "According to this text, {ql}\n{c}"), (2, "Documents:\n{c}\n\nQuestion: {q}"), (2, "Here are some notes.\n{c}\n\nPlease answer: {q}"),
    (2, "Read this: {c}\n\nNow tell me: {ql}"), (1, "Passage: {c}\n\nQuestion: {q}\n\nAnswer with a short phrase."), (1, "{c}\n\nUsing the text above, answer: {q}"),
    (1, "Extract the answer from the text.\nText: {c}\nQuestion: {q}\nAnswer:"), (1, "<documents>\n{c}\n</documents>\n\n{q}"), (1, "Reference:\n\"\"\"\n{c}\n\"\"\"\n{q}"),
]
REFINE = [
    "The original query is as follows: {q}\nWe have provided an existing answer: {e}\nWe have the opportunity to refine the existing answer (only if needed) with some "
    "more context below.\n------------\n{c}\n------------\nGiven the new context, refine the original answer to better answer the query. If the context isn't useful, "
    "return the original answer.\nRefined Answer: ",
    "You are an expert Q&A system that strictly operates in two modes when refining existing answers:\n1. **Rewrite** an original answer using the new context.\n2. "
    "**Repeat** the original answer if the new context isn't useful.\nNever reference the original answer or context directly in your answer.\nWhen in doubt, just "
    "repeat the original answer.\nNew Context: {c}\nQuery: {q}\nOriginal Answer: {e}\nNew Answer: ",
    "The original question is as follows: {q}\nWe have provided an existing answer: {e}\nWe have the opportunity to refine the existing answer (only if needed) with "
    "some more context below.\n------------\n{c}\n------------\nGiven the new context, refine the original answer to better answer the question. If the context isn't "
    "useful, return the original answer.",
]
CONDENSE = [
    ("Given a conversation (between Human and Assistant) and a follow up message from Human, rewrite the message to be a standalone question that captures all "
     "relevant context from the conversation.\n\n<Chat History>\n{h}\n\n<Follow Up Message>\n{q}\n\n<Standalone question>\n", "user", "assistant"),
    ("Given the following conversation and a follow up question, rephrase the follow up question to be a standalone question, in its original language.\n\nChat "
     "History:\n{h}\nFollow Up Input: {q}\nStandalone question:", "Human", "Assistant"),
    ("\n  Given the following conversation between a user and an AI assistant and a follow up question from user,\n  rephrase the follow up question to be a standalone "
     "question.\n\n  Chat History:\n  {h}\n  Follow Up Input: {q}\n  Standalone question:", "user", "assistant"),
]
SUMMARY = [
    "Write a concise summary of the following:\n\n\n\"{c}\"\n\n\nCONCISE SUMMARY:", "Summarize in one sentence: {c}", "Summarize in one sentence:\n{c}",
    "Summarize the following text in one sentence:\n\n{c}", "Summarize this text:\n\n{c}", "Write a one-sentence summary of this text:\n{c}", "{c}\n\nSummarize the text above in one sentence.",
    "Please summarize: {c}", "Give me a short summary of this:\n\n{c}", "TL;DR of the following text:\n{c}", "{c}\n\nTL;DR:", "What is the main point of this text?\n\n{c}", "Summarize:\n{c}",
    "Write a summary of the following. Try to use only the information provided. Try to include as many key details as possible.\n\n\n{c}\n\n\nSUMMARY:\"\"\"\n",
    LI_TREE.replace("{q}", "Summarize the text."), LI_QA.replace("{q}", "What is the text about?"), "Write a concise summary of the following:\n\n{c}", "Can you summarize this?\n{c}",
]
HEADLINE = {  # how a summarised text opens, by group
    "person": ["{s} is a {adj} {job} from {place}.", "{s} is known as the {adj} {job} of {place}.", "This is the story of {s}, a {job}.", "{s} became the first {job} of {place}."],
    "company": ["{s} is a company that makes {nouns}.", "{s} is a {adj} company from {place}.", "The company {s} will open a new office in {place}.", "{s} announced a new {noun}."],
    "town": ["{s} is a {adj} town with a {adj2} {noun}.", "The town of {s} is planning a new {noun}.", "{s} is a town known for its {noun}."],
    "product": ["{s} is a {adj} product with a {adj2} {noun}.", "{s} is a new device for every {job}."],
    "work": ["{s} is a story about a {adj} {noun}.", "{s} is a book about {nouns}."],
    "service": ["{s} is a tool to find {nouns}.", "{s} is a program that sorts {nouns}."],
}
